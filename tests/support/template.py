"""template.yaml as data; local/cloudformation.py expands loops and merges nested stacks."""

from functools import cache
from pathlib import Path
from typing import Any

from local.cloudformation import load

ROOT = Path(__file__).parents[2]
PATH = ROOT / "template.yaml"


@cache
def template() -> dict[str, Any]:
    """The whole document."""
    return load(PATH)


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a type by their logical ids."""
    return {name: resource for name, resource in template()["Resources"].items() if resource["Type"] == kind}


def functions() -> dict[str, dict[str, Any]]:
    """Every function's properties with the global ones filled in, by its folder under functions/."""
    shared = template()["Globals"]["Function"]
    found = {}
    for logical_id, resource in of_type("AWS::Serverless::Function").items():
        properties = {**shared, **resource["Properties"], "LogicalId": logical_id}
        variables = (part.get("Environment", {}).get("Variables", {}) for part in (shared, resource["Properties"]))
        properties["Environment"] = {name: value for part in variables for name, value in part.items()}
        found[properties["CodeUri"].removeprefix("functions/").rstrip("/")] = properties
    return found


def texts(value: Any) -> list[str]:
    """Every text in a value, at any depth."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, item in value.items() for text in (key, *texts(item))]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return []
