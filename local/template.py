"""Read `template.yaml` for the local stack: functions, routes, tables and their settings.

Only the features that this template uses are supported. Anything else raises `TemplateError` with its place in the
template, so that the local stack does not silently ignore it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.aws.functions import ACCOUNT_ID, REGION, Function
from local.aws.queues import Queue
from local.aws.streams import StreamMapping, check_pattern
from local.cloudformation import TemplateError, load
from local.web.cors import Cors

_NO_VALUE = object()
_STREAM_LABEL = "2026-01-01T00:00:00.000"  # the service uses the time when the stream was enabled
_QUEUE_SETTINGS = {"Enabled", "Queue", "BatchSize", "ScalingConfig"}
_QUEUE_PROPERTIES = {
    "QueueName",
    "VisibilityTimeout",
    "MessageRetentionPeriod",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
}
_STREAM_SETTINGS = {
    "Enabled",
    "Stream",
    "StartingPosition",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "TumblingWindowInSeconds",
    "FilterCriteria",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "ParallelizationFactor",
}


@dataclass(frozen=True)
class Route:
    """An HTTP API route: `method` may be "ANY"; `path` None is the `$default` route."""

    method: str
    path: str | None
    function: Function

    @property
    def key(self) -> str:
        """API Gateway's routeKey."""
        return "$default" if self.path is None else f"{self.method} {self.path}"


@dataclass(frozen=True)
class Recurring:
    """A function that the template runs every `seconds`. `event`: its Input, if it has one."""

    function: Function
    name: str
    seconds: int
    event: Any


@dataclass(frozen=True)
class StreamReader:
    """An event source mapping and the name of its table."""

    table: str
    mapping: StreamMapping


@dataclass(frozen=True)
class Table:
    """A DynamoDB table: the parameters of CreateTable, and the attribute with each item's expiry."""

    definition: dict[str, Any]
    ttl_attribute: str | None


class Template:
    """A SAM template; `parameters` override its defaults. Raises `TemplateError`."""

    def __init__(
        self, path: Path, stack_name: str = "redial-local", parameters: Mapping[str, str] | None = None
    ) -> None:
        self.path = path
        self.stack_name = stack_name
        self._document = document = load(path)
        self._parameters = dict(parameters or {})
        for name, value in self._parameters.items():
            self._check_parameter(name, value)
        self._resources: dict[str, dict[str, Any]] = {
            name: resource
            for name, resource in document["Resources"].items()
            if "Condition" not in resource or self._condition(resource["Condition"])
        }

    def functions(self, overrides: Mapping[str, str]) -> list[Function]:
        """Every function. `overrides`: environment variables whose values differ on one machine."""
        return [self._function(name, overrides) for name in self._of_type("AWS::Serverless::Function")]

    def routes(self, functions: list[Function]) -> list[Route]:
        """Every route of the HTTP API."""
        routes = []
        for function, _, event in self._events(functions, "HttpApi"):
            path = event.get("Path")
            method = event.get("Method", "ANY").upper()
            routes.append(Route("ANY" if method == "*" else method, None if path == "$default" else path, function))
        return routes

    def cors(self) -> Cors | None:
        """The HTTP API's CORS configuration, or None."""
        for name in self._of_type("AWS::Serverless::HttpApi"):
            given = self._resources[name].get("Properties", {}).get("CorsConfiguration", _NO_VALUE)
            found = self.resolve(given, f"{name}.CorsConfiguration")
            if found is not _NO_VALUE:
                names = ("AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders")
                if set(found) != {*names, "MaxAge"}:
                    raise TemplateError(f"{name}.CorsConfiguration: {', '.join(found)} is not supported on one machine")
                origins, methods, headers, exposed = (tuple(found[one]) for one in names)
                return Cors(origins, methods, headers, exposed, int(found["MaxAge"]))
        return None

    def _check_parameter(self, name: str, value: str) -> None:
        """Raises `TemplateError` for a value that CloudFormation would refuse."""
        parameter = self._document.get("Parameters", {}).get(name)
        if parameter is None:
            raise TemplateError(f"there is no parameter {name}")
        allowed = [str(one) for one in parameter.get("AllowedValues", [value])]
        matches = re.fullmatch(parameter.get("AllowedPattern", "(?s:.*)"), value) is not None
        if parameter["Type"] == "Number":
            lowest, highest = parameter.get("MinValue", 0), parameter.get("MaxValue", 2**31)
            matches = matches and re.fullmatch("[0-9]{1,10}", value) is not None and lowest <= int(value) <= highest
        if value not in allowed or not matches or len(value) > parameter.get("MaxLength", 4096):
            reason = parameter.get("ConstraintDescription", f"must be one of {', '.join(allowed)}")
            raise TemplateError(f"parameter {name}: {reason}; not {value}")

    def recurring(self, functions: list[Function]) -> list[Recurring]:
        """Every schedule that the template defines."""
        recurring = []
        for function, name, event in self._events(functions, "ScheduleV2"):
            if event.get("State", "ENABLED") != "ENABLED":
                continue
            seconds = _rate_seconds(event["ScheduleExpression"], f"{function.logical_id}.Events.{name}")
            sent = yaml.safe_load(event["Input"]) if "Input" in event else None
            recurring.append(Recurring(function, name, seconds, sent))
        return recurring

    def stream_readers(self, functions: list[Function]) -> list[StreamReader]:
        """Every event source mapping of a table's stream. Raises `TemplateError` for settings that are not emulated."""
        return [
            self._stream_reader(function, f"{function.logical_id}.Events.{name}", event)
            for function, name, event in self._events(functions, "DynamoDB")
            if event.get("Enabled", True) in (True, "true")
        ]

    def _stream_reader(self, function: Function, where: str, event: dict[str, Any]) -> StreamReader:
        if unknown := event.keys() - _STREAM_SETTINGS:
            raise TemplateError(f"{where}: {', '.join(sorted(unknown))} is not supported on one machine")
        if event.get("StartingPosition") not in ("TRIM_HORIZON", "LATEST"):
            raise TemplateError(f"{where}: StartingPosition must be TRIM_HORIZON or LATEST")
        if int(event.get("ParallelizationFactor", 1)) != 1:
            raise TemplateError(f"{where}: ParallelizationFactor must be 1 on one machine")

        def number(name: str, default: int, low: int, high: int) -> int:
            value = int(event.get(name, default))
            if not low <= value <= high:
                raise TemplateError(f"{where}: {name} must be a number from {low} to {high}")
            return value

        try:
            filters = tuple(json.loads(one["Pattern"]) for one in event.get("FilterCriteria", {}).get("Filters", []))
            for pattern in filters:
                check_pattern(pattern)
        except ValueError as error:
            raise TemplateError(f"{where}: a filter pattern is not supported on one machine: {error}") from error
        arn = str(event["Stream"])
        match = re.fullmatch(r"arn:aws:dynamodb:[^:]+:[^:]+:table/([^/]+)/stream/.+", arn)
        table = next((one for one in self.tables() if match and one.definition["TableName"] == match[1]), None)
        if table is None or "StreamSpecification" not in table.definition:
            raise TemplateError(f"{where}: {arn} is not the stream of a table of this template")
        mapping = StreamMapping(
            function=function,
            stream_arn=arn,
            batch_size=number("BatchSize", 100, 1, 10_000),
            window_seconds=number("MaximumBatchingWindowInSeconds", 0, 0, 300),
            tumbling_seconds=number("TumblingWindowInSeconds", 0, 0, 900),
            filters=filters,
            bisect=event.get("BisectBatchOnFunctionError", False) in (True, "true"),
            max_retries=number("MaximumRetryAttempts", -1, -1, 10_000),
            max_age_seconds=number("MaximumRecordAgeInSeconds", -1, -1, 604_800),
        )
        return StreamReader(table.definition["TableName"], mapping)

    def queues(self, functions: list[Function]) -> list[Queue]:
        """Every queue that a function reads. Raises `TemplateError` for settings that are not emulated."""
        return [
            self._queue(function, f"{function.logical_id}.Events.{name}", event)
            for function, name, event in self._events(functions, "SQS")
            if event.get("Enabled", True) in (True, "true")
        ]

    def _queue(self, function: Function, where: str, event: dict[str, Any]) -> Queue:
        names = {self._arn(name, where): name for name in self._of_type("AWS::SQS::Queue")}
        name = names.get(str(event["Queue"]))
        if name is None:
            raise TemplateError(f"{where}: {event['Queue']} is not a queue of this template")
        properties = self._properties(name)
        if unknown := [*event.keys() - _QUEUE_SETTINGS, *properties.keys() - _QUEUE_PROPERTIES]:
            raise TemplateError(f"{where}: {', '.join(sorted(unknown))} is not supported on one machine")
        if int(event.get("BatchSize", 10)) != 1:
            raise TemplateError(f"{where}: BatchSize must be 1 on one machine")
        redrive = properties.get("RedrivePolicy", {})
        if redrive.get("deadLetterTargetArn") not in names:
            raise TemplateError(f"Resources.{name}.RedrivePolicy must name a queue of this template")
        visibility = int(properties.get("VisibilityTimeout", 30))
        if visibility < function.timeout_seconds:
            raise TemplateError(f"Resources.{name}.VisibilityTimeout is shorter than {function.logical_id}'s timeout")
        at_once = event.get("ScalingConfig", {}).get("MaximumConcurrency")
        if at_once is not None and not 2 <= int(at_once) <= 1000:
            raise TemplateError(f"{where}: MaximumConcurrency must be a number from 2 to 1000")
        return Queue(
            name=self._physical_name(name),
            function=function,
            visibility_seconds=visibility,
            retention_seconds=int(properties.get("MessageRetentionPeriod", 345_600)),
            dead_letters=redrive["deadLetterTargetArn"],
            max_receives=int(redrive["maxReceiveCount"]),
            max_concurrency=None if at_once is None else int(at_once),
        )

    def tables(self) -> list[Table]:
        """Every DynamoDB table."""
        wanted = (
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "ProvisionedThroughput",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "StreamSpecification",
        )
        tables = []
        for name in self._of_type("AWS::DynamoDB::Table"):
            properties = self._properties(name)
            definition = {key: properties[key] for key in wanted if key in properties}
            if "StreamSpecification" in definition:
                definition["StreamSpecification"] = {"StreamEnabled": True, **definition["StreamSpecification"]}
            ttl = properties.get("TimeToLiveSpecification", {})
            ttl_attribute = ttl.get("AttributeName") if ttl.get("Enabled") in (True, "true") else None
            tables.append(Table({"TableName": self._physical_name(name), **definition}, ttl_attribute))
        return tables

    def schedule_groups(self) -> list[str]:
        """The names of every EventBridge Scheduler group."""
        return [self._physical_name(name) for name in self._of_type("AWS::Scheduler::ScheduleGroup")]

    def buckets(self) -> list[str]:
        """The names of every S3 bucket."""
        return [self._physical_name(name) for name in self._of_type("AWS::S3::Bucket")]

    def _of_type(self, kind: str) -> list[str]:
        return [name for name, resource in self._resources.items() if resource["Type"] == kind]

    def _properties(self, name: str) -> dict[str, Any]:
        properties: dict[str, Any] = self.resolve(self._resources[name].get("Properties", {}), f"Resources.{name}")
        return properties

    def _function(self, name: str, overrides: Mapping[str, str]) -> Function:
        variables = {
            key: value
            for properties in self._properties_over_globals(name)
            for key, value in properties.get("Environment", {}).get("Variables", {}).items()
        }
        environment = {
            key: overrides[key] if key in overrides else self._text(value, f"{name}.Environment.{key}")
            for key, value in variables.items()
        }

        module, _, attribute = str(self._setting(name, "Handler")).rpartition(".")
        folder = Path(str(self._setting(name, "CodeUri"))).as_posix().strip("/")
        asynchronous = self._setting(name, "EventInvokeConfig", {})
        destination = asynchronous.get("DestinationConfig", {}).get("OnFailure", {})
        return Function(
            logical_id=name,
            name=self._physical_name(name),
            module=".".join([*folder.split("/"), module]),
            attribute=attribute,
            timeout_seconds=int(self._setting(name, "Timeout", 3)),
            memory_mb=int(self._setting(name, "MemorySize", 128)),
            alias=self._setting(name, "AutoPublishAlias"),
            retries=int(asynchronous.get("MaximumRetryAttempts", 2)),
            max_event_age_seconds=int(asynchronous.get("MaximumEventAgeInSeconds", 21600)),
            on_failure=destination.get("Destination"),
            environment=environment,
        )

    def _properties_over_globals(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The properties of all functions, and those of one function, which override them."""
        return self._document.get("Globals", {}).get("Function", {}), self._resources[name].get("Properties", {})

    def _setting(self, name: str, key: str, default: Any = None) -> Any:
        shared, own = self._properties_over_globals(name)
        return self.resolve(own.get(key, shared.get(key, default)), f"{name}.{key}")

    def _events(self, functions: list[Function], kind: str) -> list[tuple[Function, str, dict[str, Any]]]:
        """(function, name of the event, its properties) for every event of a type."""
        by_name = {function.logical_id: function for function in functions}
        return [
            (by_name[name], event_name, self.resolve(event.get("Properties", {}), f"{name}.Events.{event_name}"))
            for name in self._of_type("AWS::Serverless::Function")
            for event_name, event in self._resources[name].get("Properties", {}).get("Events", {}).items()
            if event["Type"] == kind
        ]

    def _physical_name(self, name: str) -> str:
        """A resource's name in the template, or the name that CloudFormation would generate."""
        resource = self._resources[name]
        property_name = _NAME_PROPERTY.get(resource["Type"])
        given = resource.get("Properties", {}).get(property_name, _NO_VALUE) if property_name else _NO_VALUE
        value = _NO_VALUE if given is _NO_VALUE else self.resolve(given, f"{name}.{property_name}")
        if value is not _NO_VALUE:
            return str(value)
        made_up = f"{self.stack_name}-{name}"
        return made_up.lower() if resource["Type"] == "AWS::S3::Bucket" else made_up

    def _text(self, value: Any, where: str) -> str:
        resolved = self.resolve(value, where)
        if isinstance(resolved, bool):
            return str(resolved).lower()
        if not isinstance(resolved, str | int | float):
            raise TemplateError(f"{where} is not a text")
        return str(resolved)

    def resolve(self, value: Any, where: str) -> Any:
        """`value` with CloudFormation's functions evaluated. `where`: its place in the template, for errors."""
        if isinstance(value, list):
            return [item for item in (self.resolve(item, where) for item in value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            function, argument = next(iter(value.items()))
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, argument, where)
        resolved = {key: self.resolve(item, f"{where}.{key}") for key, item in value.items()}
        return {key: item for key, item in resolved.items() if item is not _NO_VALUE}

    def _call(self, function: str, argument: Any, where: str) -> Any:
        match function:
            case "Ref":
                return self._ref(argument, where)
            case "Fn::GetAtt":
                name, _, attribute = (
                    argument.partition(".") if isinstance(argument, str) else (argument[0], "", argument[1])
                )
                return self._attribute(name, attribute, where)
            case "Fn::Sub":
                return self._sub(argument, where)
            case "Fn::If":
                condition, so, otherwise = argument
                return self.resolve(so if self._condition(condition) else otherwise, where)
            case "Fn::Join":
                separator, parts = argument
                return separator.join(str(part) for part in self.resolve(parts, where))
            case "Fn::Select":
                index, parts = argument
                return self.resolve(parts, where)[int(index)]
            case "Fn::Split":
                separator, text = argument
                return str(self.resolve(text, where)).split(separator)
            case "Fn::FindInMap":
                mapping, first, second = (self.resolve(key, where) for key in argument)
                return self._document["Mappings"][mapping][first][second]
        raise TemplateError(f"{where}: {function} is not supported on one machine")

    def _ref(self, name: str, where: str) -> Any:
        pseudo = {
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::StackName": self.stack_name,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self._parameters:
            return self._parameters[name]
        parameters = self._document.get("Parameters", {})
        if name in parameters:
            if "Default" not in parameters[name]:
                raise TemplateError(f"{where}: parameter {name} has no default, and no value on one machine")
            return parameters[name]["Default"]
        resource_name, _, attribute = name.partition(".")
        if resource_name not in self._resources:
            raise TemplateError(f"{where} refers to {name}, which the template does not define")
        if attribute == "Alias":  # SAM's own: !Ref Function.Alias
            return f"{self._arn(resource_name, where)}:{self._setting(resource_name, 'AutoPublishAlias')}"
        kind = self._resources[resource_name]["Type"]
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{self._physical_name(resource_name)}"
        if kind in ("AWS::SNS::Topic", "AWS::SecretsManager::Secret", "AWS::Serverless::LayerVersion"):
            return self._arn(resource_name, where)
        return self._physical_name(resource_name)

    def _attribute(self, name: str, attribute: str, where: str) -> str:
        if name not in self._resources:
            raise TemplateError(f"{where} refers to {name}, which the template does not define")
        if attribute == "Arn":
            return self._arn(name, where)
        if attribute == "StreamArn" and "StreamSpecification" in self._resources[name].get("Properties", {}):
            return f"{self._arn(name, where)}/stream/{_STREAM_LABEL}"
        if attribute.endswith("Name"):
            return self._physical_name(name)
        raise TemplateError(f"{where}: attribute {attribute} of {name} is not known on one machine")

    def _arn(self, name: str, where: str) -> str:
        kind = self._resources[name]["Type"]
        if kind not in _ARN_RESOURCE:
            raise TemplateError(f"{where}: the ARN of {name} ({kind}) is not known on one machine")
        service, resource = _ARN_RESOURCE[kind]
        region = "" if service in ("iam", "s3") else REGION
        account = "" if service == "s3" else ACCOUNT_ID
        return f"arn:aws:{service}:{region}:{account}:{resource.format(self._physical_name(name))}"

    def _sub(self, argument: Any, where: str) -> str:
        text, values = (argument, {}) if isinstance(argument, str) else argument

        def fill_in(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in values:
                return str(self.resolve(values[name], where))
            resource, _, attribute = name.partition(".")
            if attribute and attribute != "Alias" and resource in self._resources:
                return self._attribute(resource, attribute, where)
            return str(self._ref(name, where))

        return re.sub(r"\$\{([^}]+)\}", fill_in, text)

    def _condition(self, condition: Any) -> bool:
        """Whether a condition, given by name or in full, is true."""
        if isinstance(condition, str):
            return self._condition(self._document["Conditions"][condition])
        function, argument = next(iter(condition.items()))
        match function:
            case "Condition":
                return self._condition(argument)
            case "Fn::Equals":
                left, right = (str(self.resolve(side, "Conditions")) for side in argument)
                return left == right
            case "Fn::Not":
                return not self._condition(argument[0])
            case "Fn::And":
                return all(self._condition(part) for part in argument)
            case "Fn::Or":
                return any(self._condition(part) for part in argument)
        raise TemplateError(f"Conditions: {function} is not supported on one machine")


def common_environment(functions: list[Function]) -> dict[str, str]:
    """The environments of all functions merged, since they share a process. Raises `TemplateError` if two differ."""
    common: dict[str, str] = {}
    owner: dict[str, str] = {}
    for function in functions:
        for key, value in function.environment.items():
            if common.setdefault(key, value) != value:
                raise TemplateError(
                    f"{key} is {common[key]!r} for {owner[key]} and {value!r} for {function.logical_id}; "
                    "the functions share one process here and must agree"
                )
            owner.setdefault(key, function.logical_id)
    return common


_NAME_PROPERTY = {
    "AWS::Serverless::Function": "FunctionName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::Scheduler::ScheduleGroup": "Name",
    "AWS::IAM::Role": "RoleName",
    "AWS::SecretsManager::Secret": "Name",
    "AWS::Serverless::LayerVersion": "LayerName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::Logs::LogGroup": "LogGroupName",
}
_ARN_RESOURCE = {
    "AWS::CloudWatch::Alarm": ("cloudwatch", "alarm:{}"),
    "AWS::Serverless::Function": ("lambda", "function:{}"),
    "AWS::Serverless::LayerVersion": ("lambda", "layer:{}:1"),
    "AWS::DynamoDB::Table": ("dynamodb", "table/{}"),
    "AWS::S3::Bucket": ("s3", "{}"),
    "AWS::SQS::Queue": ("sqs", "{}"),
    "AWS::Scheduler::ScheduleGroup": ("scheduler", "schedule-group/{}"),
    "AWS::IAM::Role": ("iam", "role/{}"),
    "AWS::SecretsManager::Secret": ("secretsmanager", "secret:{}"),
    "AWS::SNS::Topic": ("sns", "{}"),
    "AWS::Logs::LogGroup": ("logs", "log-group:{}"),
}


def _rate_seconds(expression: str, where: str) -> int:
    match = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", expression)
    if match is None:
        raise TemplateError(f"{where}: only rate(…) is supported on one machine, not {expression}")
    return int(match[1]) * {"minute": 60, "hour": 3600, "day": 86400}[match[2]]
