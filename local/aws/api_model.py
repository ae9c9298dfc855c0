"""Check a request to an emulated service against AWS's API model, which is part of botocore."""

import re
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape


@cache
def service_model(service: str) -> ServiceModel:
    """The API model of that service, cached: reading it is the longest part of starting a stack."""
    return botocore.session.get_session().get_service_model(service)


def violations(shape: Shape, value: Any, path: str = "") -> list[str]:
    """The constraints of the API model that `value` violates, in AWS's words. `path`: its place in the request."""
    if isinstance(shape, StructureShape):
        if not isinstance(value, dict):
            return [f"Value at '{path}' failed to satisfy constraint: Member must be a structure"]
        missing = [
            f"Value null at '{path}{name}' failed to satisfy constraint: Member must not be null"
            for name in shape.required_members
            if value.get(name) is None
        ]
        nested = [
            violation
            for name, member in shape.members.items()
            if value.get(name) is not None
            for violation in violations(member, value[name], f"{path}{name}.")
        ]
        return missing + nested
    name = path.rstrip(".")
    if isinstance(shape, ListShape):
        return [v for index, item in enumerate(value) for v in violations(shape.member, item, f"{name}.{index}.")]
    constraint = _broken_constraint(shape, value)
    return [f"Value '{value}' at '{name}' failed to satisfy constraint: Member must {constraint}"] if constraint else []


def _broken_constraint(shape: Shape, value: Any) -> str | None:
    bounds = shape.metadata
    low, high = bounds.get("min"), bounds.get("max")
    if shape.type_name == "string":
        if not isinstance(value, str):
            return "be a string"
        if low is not None and len(value) < low:
            return f"have length greater than or equal to {low}"
        if high is not None and len(value) > high:
            return f"have length less than or equal to {high}"
        if "enum" in bounds and value not in bounds["enum"]:
            return f"satisfy enum value set: [{', '.join(bounds['enum'])}]"
        if "pattern" in bounds and re.fullmatch(bounds["pattern"], value, re.ASCII) is None:
            return f"satisfy regular expression pattern: {bounds['pattern']}"
    if shape.type_name == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            return "be an integer"
        if low is not None and value < low:
            return f"have value greater than or equal to {low}"
        if high is not None and value > high:
            return f"have value less than or equal to {high}"
    return None
