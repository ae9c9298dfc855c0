"""botocore without work that is useless on one machine; requests, answers and errors stay the same.

botocore compares each value of a DynamoDB item with its model three times, and resolves the endpoint of each request.
This is most of the time of a request. A valid value is accepted at once here; botocore's own code handles all others.
"""

from collections.abc import Callable
from typing import Any

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.parsers import JSONParser
from botocore.regions import EndpointRulesetResolver
from botocore.serialize import JSONSerializer
from botocore.useragent import UserAgentString
from botocore.validate import ParamValidator

_ATTRIBUTE_VALUE = "AttributeValue"  # the shape's name in DynamoDB's model
_SAME_ENDPOINT = ("dynamodb", "lambda", "scheduler")
"""Services with a single endpoint."""


def _is_usual(value: Any) -> bool:
    """Whether this is a valid attribute's value that is the same in Python and JSON (binary values are not)."""
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


_sign = SigV4Auth.add_auth


def _sign_for_s3(self: SigV4Auth, request: Any) -> None:
    if isinstance(self, S3SigV4Auth | S3SigV4QueryAuth):
        _sign(self, request)


REPLACED: dict[tuple[Any, str], Callable[..., Any]] = {
    (ParamValidator, "_validate"): _validate_unusual,
    (JSONSerializer, "_serialize"): _serialize_unusual,
    (JSONParser, "_parse_shape"): _parse_unusual,
    (EndpointRulesetResolver, "construct_endpoint"): _construct_endpoint_once,
    # Only S3's signatures are read here.
    (SigV4Auth, "add_auth"): _sign_for_s3,
    (UserAgentString, "to_string"): lambda agent: "redial-local",
}
"""What takes the place of botocore's own code while the stack runs, by class and name."""
