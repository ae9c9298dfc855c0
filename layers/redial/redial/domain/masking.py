"""Masks phone numbers in logs, in answers to restricted keys, and in audit records."""

import re
from typing import Any

_E164 = re.compile(r"\+[0-9]{7,15}")
_WRITTEN = re.compile(r"\+(?:[ ().-]{0,2}[0-9]){7,15}")
"""A number with its country code, as people write it."""
_ANY = re.compile(r"\+?[0-9](?:[ ()./-]{0,2}[0-9]){6,}")
"""Seven or more digits, which may be a number in any form."""
FREE_FORM = frozenset({"recipient_data"})
"""Fields of an answer that hold what customers store about people: numbers in any form."""


def masked(number: str) -> str:
    """`+14155550123` → `+1415*****23`: enough to distinguish numbers in a log, too little to call one."""
    return f"{number[:5]}{'*' * max(len(number) - 7, 1)}{number[-2:]}"


def masked_text(text: str) -> str:
    """`text` with every number in E.164 masked; carriers' messages quote them."""
    return _E164.sub(lambda found: masked(found.group()), text)


def masked_json(value: Any, *, free_form: bool = False) -> Any:
    """A JSON value with every phone number in its texts masked more strictly: `+14155550123` → `+14*******23`.

    `free_form`: any seven digits count as a number, with or without a country code, even in a JSON number. This applies
    below the fields of `FREE_FORM`.
    """
    if isinstance(value, str):
        return (_ANY if free_form else _WRITTEN).sub(lambda found: _hidden(found.group()), value)
    if isinstance(value, dict):
        return {name: masked_json(one, free_form=free_form or name in FREE_FORM) for name, one in value.items()}
    if isinstance(value, list):
        return [masked_json(one, free_form=free_form) for one in value]
    if free_form and isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if masked_json(text, free_form=True) == text else _hidden(text)
    return value


def _hidden(number: str) -> str:
    return f"{number[:3]}{'*' * (len(number) - 5)}{number[-2:]}"
