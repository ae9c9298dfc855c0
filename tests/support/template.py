"""template.yaml as data, with CloudFormation's short tags in their long form: `!Ref X` is `{"Ref": "X"}`."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PATH = ROOT / "template.yaml"


class _Loader(yaml.SafeLoader):
    pass


def _long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    match node:
        case yaml.ScalarNode():
            value: Any = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
        case _:
            raise TypeError(node)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


def load(path: Path) -> dict[str, Any]:
    """A template's whole document."""
    document: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506  a SafeLoader with tags
    return document


@cache
def template() -> dict[str, Any]:
    """The whole document."""
    return load(PATH)


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type by their logical ids."""
    return {name: resource for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def functions() -> dict[str, dict[str, Any]]:
    """Every function's properties with the global ones filled in, by the name of its folder under functions/."""
    shared = template()["Globals"]["Function"]
    found = {}
    for logical_id, resource in of_type("AWS::Serverless::Function").items():
        properties = {**shared, **resource["Properties"], "LogicalId": logical_id}
        variables = (part.get("Environment", {}).get("Variables", {}) for part in (shared, resource["Properties"]))
        properties["Environment"] = {name: value for part in variables for name, value in part.items()}
        found[properties["CodeUri"].removeprefix("functions/").rstrip("/")] = properties
    return found


def texts(value: Any) -> list[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return []
