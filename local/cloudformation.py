"""Load a CloudFormation template with short tags in long form, loops unrolled and nested stacks merged.

The local stack, tests and bench read template.yaml with `load`. `python -m local.cloudformation template.yaml` prints
the result, for tools that cannot read loops and nested stacks.
"""

import copy
import json
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml


class TemplateError(Exception):
    """The template uses a feature that is not supported on one machine."""


def read(path: Path) -> dict[str, Any]:
    """The template as written, with short tags in long form."""
    document: dict[str, Any] = copy.deepcopy(_parsed(path.read_text()))
    return document


def load(path: Path) -> dict[str, Any]:
    """The template with the resources of its nested stacks. Raises `TemplateError`."""
    document = _parsed(path.read_text())
    unrolled: dict[str, Any] = _unrolled(document, {}, document.get("Mappings", {}))
    _merge_nested_stacks(unrolled, path.parent)
    return unrolled


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """The parsed text, cached: parsing takes longer than starting the local stack."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader, plus tags


def _unrolled(value: Any, loops: Mapping[str, str], mappings: Mapping[str, Any]) -> Any:
    """`value` with Fn::ForEach unrolled. `loops`: the values of the variables of enclosing loops.

    As in AWS, variables are replaced only in a loop's keys, Fn::Sub and Ref.
    """
    if isinstance(value, list):
        return [_unrolled(item, loops, mappings) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if not str(key).startswith("Fn::ForEach::"):
            result[key] = _unrolled(item, loops, mappings)
            continue
        variable, collection, fragment = item
        for one in collection:
            inner = {**loops, variable: one}
            result |= _unrolled({_filled_in(name, inner): part for name, part in fragment.items()}, inner, mappings)
    match result if len(result) == 1 else None:
        case {"Fn::GetAtt": [str(name), str(attribute)]}:
            return {"Fn::GetAtt": f"{name}.{attribute}"}
        case {"Ref": str(name)} if name in loops:
            return loops[name]
        case {"Fn::FindInMap": [str(mapping), str(first), str(second)]} if loops:
            return mappings[mapping][first][second]
        case {"Fn::Sub": str() | [str(), dict()] as argument} if loops:
            text, values = (argument, {}) if isinstance(argument, str) else argument
            text = _filled_in(text, {**loops, **{name: _as_text(one) for name, one in values.items()}})
            return {"Fn::Sub": text} if "${" in text else text
    return result


def _merge_nested_stacks(document: dict[str, Any], folder: Path) -> None:
    """Add the resources and conditions of nested stacks to the document, with their parameters replaced."""
    for name, resource in list(document["Resources"].items()):
        if resource.get("Type") != "AWS::CloudFormation::Stack":
            continue
        stack = document["Resources"].pop(name)["Properties"]
        nested = load(folder / stack["TemplateURL"])
        parameters = stack.get("Parameters", {})
        if parameters.keys() != nested["Parameters"].keys() or "Condition" in resource:
            raise TemplateError(f"{name} must be given its parameters, all of them, and no condition")
        for section in ("Conditions", "Resources"):
            mine, theirs = document.setdefault(section, {}), _given(nested.get(section, {}), parameters)
            shared = mine.keys() & theirs.keys()
            if twice := [key for key in shared if section == "Resources" or mine[key] != theirs[key]]:
                raise TemplateError(f"{name} has another {', '.join(sorted(twice))}")
            mine |= theirs


def _given(value: Any, parameters: Mapping[str, Any]) -> Any:
    """`value` of a nested stack with its parameters replaced by the outer template's values."""
    match value:
        case list():
            return [_given(item, parameters) for item in value]
        case {"Ref": str(name)} if name in parameters:
            return parameters[name]
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": _filled_in(text, {name: _as_text(one) for name, one in parameters.items()})}
        case dict():
            return {key: _given(item, parameters) for key, item in value.items()}
    return value


def _filled_in(text: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), text)


def _as_text(value: Any) -> str:
    """A value as it appears in the text of Fn::Sub. A reference to Table's ARN becomes ${Table.Arn}."""
    match value:
        case str():
            return value
        case {"Ref": str(name)} | {"Fn::GetAtt": str(name)}:
            return f"${{{name}}}"
        case {"Fn::Sub": str(text)}:
            return text
    raise TemplateError(f"{value} is neither text nor a reference")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags in long form: `!Sub x` → `{"Fn::Sub": "x"}`."""


def _long_form(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


if __name__ == "__main__":
    print(json.dumps(load(Path(sys.argv[1])), indent=2))
