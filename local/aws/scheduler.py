"""EventBridge Scheduler, as strict as AWS: one-shot schedules that are checked, stored, and really fire.

moto's never fires and takes anything. This one checks every request against the constraints of AWS's own API model
(which botocore carries) and then against what the model cannot say; unlike AWS it also wants the target to exist.
https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
"""

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from threading import RLock
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from local.aws.functions import ACCOUNT_ID, REGION, DeadLetter, Invoker, UnknownFunction
from local.clock import Event, Timeline

MAX_INPUT_BYTES = 256 * 1024
PRECISION_SECONDS = 60.0
"""How late AWS may fire a schedule: somewhere within the minute that begins at its time."""
DEFAULT_GROUP = "default"
DEFAULT_PAGE = 100

_T = TypeVar("_T")

Firing = Callable[["Schedule"], tuple[float, ...]]
"""How many seconds after its time a schedule fires, once for each number. None at all: it is lost at its time."""


def punctual(schedule: "Schedule") -> tuple[float, ...]:
    """Fires once, at its time: what makes a story repeatable to the second."""
    return (0.0,)


def as_late_as_aws(seed: int) -> Firing:
    """Fires once, up to a minute late, drawn from `seed`."""
    random = Random(seed)
    return lambda schedule: (random.uniform(0, PRECISION_SECONDS),)


class SchedulerError(Exception):
    """A request that the service refuses, with the error's name and HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def _invalid(message: str) -> SchedulerError:
    return SchedulerError("ValidationException", 400, message)


@dataclass(eq=False)
class Schedule:
    """A stored schedule. `definition` is the request with its defaults filled in; `due` is aware UTC."""

    definition: dict[str, Any]
    client_token: str
    due: datetime
    created_at: datetime
    modified_at: datetime
    events: list[Event] = field(default_factory=list)
    firings_left: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.definition["GroupName"], self.definition["Name"]

    @property
    def arn(self) -> str:
        group, name = self.key
        return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{group}/{name}"

    def cancel(self) -> None:
        for event in self.events:
            event.cancel()


@dataclass
class _Group:
    name: str
    created_at: datetime
    tags: list[dict[str, str]]

    @property
    def arn(self) -> str:
        return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule-group/{self.name}"


class Scheduler:
    """The service. `firing` says when each schedule fires; twice is what "at least once" may mean."""

    def __init__(self, timeline: Timeline, functions: Invoker, lock: RLock, firing: Firing = punctual) -> None:
        self.firing = firing
        self.dead_letters: list[DeadLetter] = []
        self._timeline = timeline
        self._functions = functions
        self._lock = lock
        self._model: ServiceModel = botocore.session.get_session().get_service_model("scheduler")
        self._groups = {DEFAULT_GROUP: _Group(DEFAULT_GROUP, timeline.now(), [])}
        self._schedules: dict[tuple[str, str], Schedule] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateSchedule": self._create,
            "UpdateSchedule": self._update,
            "GetSchedule": self._get,
            "DeleteSchedule": self._delete,
            "ListSchedules": self._list,
            "CreateScheduleGroup": self._create_group,
            "GetScheduleGroup": self._get_group,
            "DeleteScheduleGroup": self._delete_group,
            "ListScheduleGroups": self._list_groups,
        }

    def handle(self, operation: str, url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer one HTTP request of the service's API: status, headers, body."""
        try:
            if operation not in self._operations:
                raise _invalid(f"{operation} is not emulated on one machine")
            parameters = self._parameters(operation, url, body)
            with self._lock:
                answer = self._operations[operation](parameters)
        except SchedulerError as error:
            return error.status, {"x-amzn-ErrorType": error.code}, json.dumps({"Message": str(error)}).encode()
        return 200, {"content-type": "application/json"}, json.dumps(answer).encode()

    def schedules(self) -> list[Schedule]:
        """Every stored schedule, soonest first."""
        with self._lock:
            return sorted(self._schedules.values(), key=lambda schedule: (schedule.due, schedule.key))

    def _parameters(self, operation: str, url: str, body: bytes) -> dict[str, Any]:
        """The request's parameters, wherever they travel, each within the bounds of the API model."""
        shape = self._model.operation_model(operation).input_shape
        assert shape is not None
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        sent: dict[str, Any] = json.loads(body) if body else {}
        parameters: dict[str, Any] = {}
        for name, member in shape.members.items():
            place = member.serialization.get("location")
            wire_name = member.serialization.get("name", name)
            if place == "uri":
                parameters[name] = unquote(parts.path.rpartition("/")[2])
            elif place == "querystring":
                if wire_name in query:
                    value = query[wire_name]
                    parameters[name] = int(value) if member.type_name == "integer" else value
            elif sent.get(wire_name) is not None:
                parameters[name] = sent[wire_name]
        violations = _violations(shape, parameters, "")
        if violations:
            plural = "s" if len(violations) > 1 else ""
            raise _invalid(f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}")
        return parameters

    def _create(self, wanted: dict[str, Any]) -> dict[str, Any]:
        token = wanted.pop("ClientToken", "")
        schedule = self._checked(wanted, token)
        known = self._schedules.get(schedule.key)
        if known is not None:
            if token and known.client_token == token and known.definition == schedule.definition:
                return {"ScheduleArn": known.arn}
            raise SchedulerError("ConflictException", 409, f"Schedule {schedule.key[1]} already exists.")
        if schedule.due < self._timeline.now().replace(microsecond=0):
            raise _invalid("The ScheduleExpression is in the past.")
        self._arm(schedule)
        return {"ScheduleArn": schedule.arn}

    def _update(self, wanted: dict[str, Any]) -> dict[str, Any]:
        token = wanted.pop("ClientToken", "")
        schedule = self._checked(wanted, token)
        known = self._known(*schedule.key)
        if schedule.due < self._timeline.now().replace(microsecond=0):
            raise _invalid("The ScheduleExpression is in the past.")
        schedule.created_at = known.created_at
        known.cancel()
        self._arm(schedule)
        return {"ScheduleArn": schedule.arn}

    def _checked(self, wanted: dict[str, Any], token: str) -> Schedule:
        """The schedule that is wanted, after every check that needs more than the API model."""
        definition = {
            "GroupName": DEFAULT_GROUP,
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            "ActionAfterCompletion": "NONE",
            **wanted,
        }
        due = _instant_of(definition["ScheduleExpression"], definition["ScheduleExpressionTimezone"])
        window = definition["FlexibleTimeWindow"]
        if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
            raise _invalid(
                "MaximumWindowInMinutes goes with the FLEXIBLE mode of FlexibleTimeWindow, and only with it."
            )
        target = definition["Target"]
        try:
            if not target["Arn"].startswith("arn:aws:lambda:"):
                raise _invalid(f"Provided Arn is not in correct format, or not emulated: {target['Arn']}")
            self._functions.find(target["Arn"])
        except UnknownFunction as error:
            raise _invalid(f"The target does not exist: {error}") from error
        if "Input" in target:
            if len(target["Input"].encode()) > MAX_INPUT_BYTES:
                raise _invalid(f"Input is longer than {MAX_INPUT_BYTES} bytes.")
            try:
                json.loads(target["Input"])
            except ValueError as error:
                raise _invalid(f"Invalid JSON Input: {error}") from error
        self._known_group(definition["GroupName"])
        now = self._timeline.now()
        return Schedule(definition, token, due, created_at=now, modified_at=now)

    def _arm(self, schedule: Schedule) -> None:
        self._schedules[schedule.key] = schedule
        if schedule.definition["State"] != "ENABLED":
            return
        firings = self.firing(schedule)
        schedule.firings_left = len(firings)
        for seconds in firings:
            fire_at = schedule.due + timedelta(seconds=seconds)
            name = f"schedule {schedule.key[1]}"
            schedule.events.append(self._timeline.at(fire_at, lambda: self._fire(schedule), name))
        if not firings:
            lost = self._timeline.at(schedule.due, lambda: self._complete(schedule), f"lost schedule {schedule.key[1]}")
            schedule.events.append(lost)

    def _fire(self, schedule: Schedule) -> None:
        target = schedule.definition["Target"]
        event = json.loads(self._filled_in(schedule, target["Input"])) if "Input" in target else default_event(schedule)
        try:
            self._functions.invoke_later(target["Arn"], event)
        except UnknownFunction as error:
            queue = target.get("DeadLetterConfig", {}).get("Arn")
            reason = {"errorType": "ResourceNotFoundException", "errorMessage": str(error)}
            letter = DeadLetter(self._timeline.now(), queue, target["Arn"], event, 1, reason)
            self.dead_letters.append(letter)
        schedule.firings_left -= 1
        if schedule.firings_left == 0:
            self._complete(schedule)

    def _complete(self, schedule: Schedule) -> None:
        with self._lock:
            known = self._schedules.get(schedule.key) is schedule
            if known and schedule.definition["ActionAfterCompletion"] == "DELETE":
                del self._schedules[schedule.key]

    def _filled_in(self, schedule: Schedule, text: str) -> str:
        """The input with the context attributes that it names.

        https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-schedule-context-attributes.html
        """
        execution = uuid.uuid5(uuid.NAMESPACE_URL, f"{schedule.arn} {self._timeline.now().isoformat()}")
        return (
            text.replace("<aws.scheduler.schedule-arn>", schedule.arn)
            .replace("<aws.scheduler.scheduled-time>", schedule.due.strftime("%Y-%m-%dT%H:%M:%SZ"))
            .replace("<aws.scheduler.execution-id>", str(execution))
            .replace("<aws.scheduler.attempt-number>", "1")
        )

    def _get(self, wanted: dict[str, Any]) -> dict[str, Any]:
        schedule = self._known(wanted.get("GroupName", DEFAULT_GROUP), wanted["Name"])
        return {"Arn": schedule.arn, **schedule.definition, **_dates(schedule.created_at, schedule.modified_at)}

    def _delete(self, wanted: dict[str, Any]) -> dict[str, Any]:
        schedule = self._known(wanted.get("GroupName", DEFAULT_GROUP), wanted["Name"])
        schedule.cancel()
        del self._schedules[schedule.key]
        return {}

    def _list(self, wanted: dict[str, Any]) -> dict[str, Any]:
        group, prefix, state = wanted.get("GroupName"), wanted.get("NamePrefix", ""), wanted.get("State")
        if group is not None:
            self._known_group(group)
        found = [
            schedule
            for key, schedule in sorted(self._schedules.items())
            if group in (None, key[0]) and key[1].startswith(prefix) and state in (None, schedule.definition["State"])
        ]
        page, token = _page(found, wanted)
        summaries = [
            {
                "Arn": schedule.arn,
                "GroupName": schedule.key[0],
                "Name": schedule.key[1],
                "State": schedule.definition["State"],
                "Target": {"Arn": schedule.definition["Target"]["Arn"]},
                **_dates(schedule.created_at, schedule.modified_at),
            }
            for schedule in page
        ]
        return {"Schedules": summaries, **token}

    def _create_group(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = wanted["Name"]
        if name in self._groups:
            raise SchedulerError("ConflictException", 409, f"Schedule group {name} already exists.")
        self._groups[name] = group = _Group(name, self._timeline.now(), wanted.get("Tags", []))
        return {"ScheduleGroupArn": group.arn}

    def _get_group(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return _group_answer(self._known_group(wanted["Name"]))

    def _delete_group(self, wanted: dict[str, Any]) -> dict[str, Any]:
        group = self._known_group(wanted["Name"])
        if group.name == DEFAULT_GROUP:
            raise _invalid("The default schedule group cannot be deleted.")
        for key, schedule in list(self._schedules.items()):
            if key[0] == group.name:
                schedule.cancel()
                del self._schedules[key]
        del self._groups[group.name]
        return {}

    def _list_groups(self, wanted: dict[str, Any]) -> dict[str, Any]:
        prefix = wanted.get("NamePrefix", "")
        page, token = _page([group for name, group in sorted(self._groups.items()) if name.startswith(prefix)], wanted)
        return {"ScheduleGroups": [_group_answer(group) for group in page], **token}

    def _known(self, group: str, name: str) -> Schedule:
        self._known_group(group)
        if (group, name) not in self._schedules:
            raise SchedulerError("ResourceNotFoundException", 404, f"Schedule {name} does not exist.")
        return self._schedules[group, name]

    def _known_group(self, name: str) -> _Group:
        if name not in self._groups:
            raise SchedulerError("ResourceNotFoundException", 404, f"Schedule group {name} does not exist.")
        return self._groups[name]


def default_event(schedule: Schedule) -> dict[str, Any]:
    """What a target without Input gets."""
    return scheduled_event(schedule.arn, schedule.due)


def scheduled_event(arn: str, at: datetime) -> dict[str, Any]:
    """The event of a schedule without Input, for the firing at `at`."""
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn} {at.isoformat()}")),
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "account": ACCOUNT_ID,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [arn],
        "detail": "{}",
    }


@cache
def _zones() -> frozenset[str]:
    """The names of time zones, read once: looking for them takes as long as everything else that a schedule needs."""
    return frozenset(available_timezones())


def _instant_of(expression: str, zone: str) -> datetime:
    if zone not in _zones():
        raise _invalid(f"The ScheduleExpressionTimezone {zone} is not valid.")
    match = re.fullmatch(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)", expression, re.ASCII)
    if match is None:
        if re.fullmatch(r"(rate|cron)\(.+\)", expression):
            raise _invalid("Recurring schedules are not emulated on one machine, save those of the template.")
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    try:
        local = datetime.fromisoformat(match[1]).replace(tzinfo=ZoneInfo(zone))
    except ValueError as error:
        raise _invalid(f"Invalid Schedule Expression {expression}.") from error
    return local.astimezone(UTC)


def _dates(created_at: datetime, modified_at: datetime) -> dict[str, float]:
    return {"CreationDate": created_at.timestamp(), "LastModificationDate": modified_at.timestamp()}


def _group_answer(group: _Group) -> dict[str, Any]:
    dates = _dates(group.created_at, group.created_at)
    return {"Arn": group.arn, "Name": group.name, "State": "ACTIVE", **dates}


def _page(found: list[_T], wanted: dict[str, Any]) -> tuple[list[_T], dict[str, str]]:
    start, size = int(wanted.get("NextToken", 0)), wanted.get("MaxResults", DEFAULT_PAGE)
    rest = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return found[start : start + size], rest


def _violations(shape: Shape, value: Any, path: str) -> list[str]:
    """Every constraint of the API model that `value` breaks, in AWS's words."""
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
            for violation in _violations(member, value[name], f"{path}{name}.")
        ]
        return missing + nested
    name = path.rstrip(".")
    if isinstance(shape, ListShape):
        return [v for index, item in enumerate(value) for v in _violations(shape.member, item, f"{name}.{index}.")]
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
