"""Policy presets, from `presets.toml`: rules to copy into your own policy."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict


class PresetRead(TypedDict):
    """Rules to start from. Not legal advice."""

    name: str
    title: str
    source: Annotated[str | None, Field(description="The rule's citation; null for a common need.")]
    url: str | None
    as_of: Annotated[str | None, Field(description="When the rules were last compared with the source.")]
    review_by: Annotated[str | None, Field(description="When they must be compared again.")]
    not_covered: str | None
    rules: Annotated[dict[str, Any], Field(description="The rules, in the format of PUT /policies/{name}.")]


@cache
def presets() -> Mapping[str, PresetRead]:
    """All presets by name, in the order of the documentation."""
    import tomllib  # few requests need it

    stored = tomllib.loads((Path(__file__).parent / "presets.toml").read_text())
    return {name: _preset(name, one) for name, one in stored.items()}


def _preset(name: str, stored: Mapping[str, Any]) -> PresetRead:
    return {
        "name": name,
        "title": stored["title"],
        "source": stored.get("source"),
        "url": stored.get("url"),
        "as_of": _text(stored.get("as_of")),
        "review_by": _text(stored.get("review_by")),
        "not_covered": stored.get("not_covered"),
        "rules": stored["rules"],
    }


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
