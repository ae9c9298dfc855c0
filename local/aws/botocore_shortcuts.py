"""botocore without work that is unnecessary on one machine. Requests, answers and errors stay the same.

botocore compares each value of a DynamoDB item with its model three times, and resolves the endpoint of each request.
This takes most of the time of a request. Here a valid value is accepted at once, and botocore's own code handles all
others. A request for items whose values are all valid bypasses most of botocore, and so does its answer.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.endpoint_provider import EndpointProvider, RuleSet
from botocore.hooks import EventAliaser
from botocore.model import OperationModel
from botocore.parsers import JSONParser
from botocore.regions import EndpointRulesetResolver
from botocore.serialize import JSONSerializer
from botocore.useragent import UserAgentString
from botocore.validate import ParamValidator

_ATTRIBUTE_VALUE = "AttributeValue"  # the shape's name in DynamoDB's model
_SAME_ENDPOINT = ("dynamodb", "lambda", "scheduler")
"""Services with a single endpoint."""


def _is_usual(value: Any) -> bool:
    """Whether this is a valid attribute value that is the same in Python and JSON (binary values are not)."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((kind, content),) = value.items()
    match kind:
        case "S" | "N":
            return type(content) is str
        case "M":
            return type(content) is dict and all(type(name) is str and _is_usual(one) for name, one in content.items())
        case "L":
            return type(content) is list and all(map(_is_usual, content))
        case "BOOL" | "NULL":
            return type(content) is bool
        case "SS" | "NS":
            return type(content) is list and all(type(one) is str for one in content)
    return False


def usual_request(model: OperationModel, parameters: dict[str, Any]) -> bytes | None:
    """The body that botocore would make from valid parameters. None if botocore has to check them."""
    shape = model.input_shape
    if shape is None or any(name not in parameters for name in shape.required_members):
        return None
    for name, value in parameters.items():
        member = shape.members.get(name)
        if member is None or not _is_usual_member(member, value):
            return None
    return json.dumps(parameters).encode()


def _is_usual_member(shape: Any, value: Any) -> bool:
    kind = type(value)
    match shape.type_name:
        case "string":
            return kind is str and len(value) >= shape.metadata.get("min", 0)
        case "integer":
            return kind is int and value >= shape.metadata.get("min", value)
        case "boolean":
            return kind is bool
        case "map" if kind is dict and shape.value.name == _ATTRIBUTE_VALUE:
            return all(type(name) is str and _is_usual(one) for name, one in value.items())
        case "map" if kind is dict and shape.value.type_name == "string":
            return all(type(name) is str and type(one) is str for name, one in value.items())
    return False


def usual_answer(model: OperationModel, body: bytes) -> dict[str, Any] | None:
    """The members that botocore would find in the answer to a request. None if botocore has to parse it."""
    words, shape = json.loads(body), model.output_shape
    if shape is None:
        return None
    members = {name: value for name, value in words.items() if name in shape.members and value is not None}
    for name, value in members.items():
        match name:
            case "Count" | "ScannedCount":
                usual = type(value) is int
            case "Item" | "Attributes" | "LastEvaluatedKey":
                usual = all(map(_is_usual, value.values()))
            case "Items":
                usual = all(_is_usual(one) for item in value for one in item.values())
            case _:
                usual = False
        if not usual:
            return None
    return members


_validate: Callable[..., Any] = ParamValidator._validate  # type: ignore[attr-defined]
_serialize: Callable[..., Any] = JSONSerializer._serialize  # type: ignore[attr-defined]
_parse_shape: Callable[..., Any] = JSONParser._parse_shape  # type: ignore[attr-defined]
_construct_endpoint = EndpointRulesetResolver.construct_endpoint


def _validate_unusual(self: ParamValidator, params: Any, shape: Any, errors: Any, name: str) -> None:
    if shape.name != _ATTRIBUTE_VALUE or not _is_usual(params):
        _validate(self, params, shape, errors, name)


def _serialize_unusual(self: JSONSerializer, serialized: Any, value: Any, shape: Any, key: Any = None) -> None:
    if shape.name == _ATTRIBUTE_VALUE and _is_usual(value):
        serialized[key] = value
    else:
        _serialize(self, serialized, value, shape, key)


def _parse_unusual(self: JSONParser, shape: Any, node: Any) -> Any:
    return node if shape.name == _ATTRIBUTE_VALUE and _is_usual(node) else _parse_shape(self, shape, node)


def _construct_endpoint_once(
    self: EndpointRulesetResolver, operation_model: Any, call_args: Any, request_context: Any
) -> Any:
    if operation_model.service_model.service_name not in _SAME_ENDPOINT:
        return _construct_endpoint(self, operation_model, call_args, request_context)
    known = self.__dict__.get("redial_endpoint")
    if known is None:
        known = self.__dict__["redial_endpoint"] = _construct_endpoint(
            self, operation_model, call_args, request_context
        )
    return known


_RULES: dict[int, tuple[Any, RuleSet]] = {}
_names_of_events: dict[str, str] = {}
# The stubs of botocore leave out private names, here and above.
_name_of_event: Callable[[EventAliaser, str], str] = EventAliaser._alias_event_name  # type: ignore[attr-defined]  # private


def _make_provider_once(
    self: EndpointProvider, ruleset_data: Any, partition_data: Any, excluded_params: Any = None
) -> None:
    """Read a service's rules once. botocore reads them for each client, but all clients of a process have the same data
    (`local.aws.requests`)."""
    data, rules = _RULES.get(id(ruleset_data), (None, None))
    if data is not ruleset_data or rules is None:
        rules = RuleSet(**ruleset_data, partitions=partition_data)
        _RULES[id(ruleset_data)] = ruleset_data, rules
    self.__dict__.update(ruleset=rules, _excluded_params=excluded_params or frozenset())


def _name_event_once(self: EventAliaser, event_name: str) -> str:
    """Search botocore's list of aliases once. botocore does so for each client, but the list is always the same."""
    known = _names_of_events.get(event_name)
    if known is None:
        known = _names_of_events[event_name] = _name_of_event(self, event_name)
    return known


_sign = SigV4Auth.add_auth


def _sign_for_s3(self: SigV4Auth, request: Any) -> None:
    if isinstance(self, S3SigV4Auth | S3SigV4QueryAuth):
        _sign(self, request)


REPLACED: dict[tuple[Any, str], Callable[..., Any]] = {
    (ParamValidator, "_validate"): _validate_unusual,
    (JSONSerializer, "_serialize"): _serialize_unusual,
    (JSONParser, "_parse_shape"): _parse_unusual,
    (EndpointRulesetResolver, "construct_endpoint"): _construct_endpoint_once,
    (EndpointProvider, "__init__"): _make_provider_once,
    (EventAliaser, "_alias_event_name"): _name_event_once,
    # Only S3's signatures are read here.
    (SigV4Auth, "add_auth"): _sign_for_s3,
    (UserAgentString, "to_string"): lambda agent: "redial-local",
}
"""The functions that replace botocore's own while the stack runs, by class and name."""
