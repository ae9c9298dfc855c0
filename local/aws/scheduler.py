"""EventBridge Scheduler with one-shot schedules that fire, as strict as AWS.

moto's Scheduler fires nothing and checks little. This one checks each request against the constraints of AWS's API
model, which is part of botocore, and against rules outside the model. Unlike AWS, it requires that the target exists. https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html
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
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo, available_timezones

from local.aws.api_model import service_model, violations
from local.aws.functions import ACCOUNT_ID, REGION, DeadLetter, Invoker, UnknownFunction
from local.aws.queues import Queues, UnknownQueue
from local.clock import Event, Timeline

MAX_INPUT_BYTES = 256 * 1024
PRECISION_SECONDS = 60.0
"""How late AWS may fire a schedule: within the minute that begins at its time."""
DEFAULT_GROUP = "default"
DEFAULT_PAGE = 100

Firing = Callable[["Schedule"], tuple[float, ...]]
"""Returns the delays in seconds after a schedule's time at which it fires. If empty, it never fires."""


def punctual(schedule: "Schedule") -> tuple[float, ...]:
    """Fires once, at its time."""
    return (0.0,)


def as_late_as_aws(seed: int) -> Firing:
    """Fires once, up to a minute late, drawn from `seed`."""
    random = Random(seed)
    return lambda schedule: (random.uniform(0, PRECISION_SECONDS),)


def at_the_minute(schedule: "Schedule") -> tuple[float, ...]:
    """Fires once, when its minute begins: up to a minute early."""
    return (-(schedule.due.second + schedule.due.microsecond / 1e6),)


class SchedulerError(Exception):
    """A refused request, with the error's name and HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def _invalid(message: str) -> SchedulerError:
    return SchedulerError("ValidationException", 400, message)


@dataclass(eq=False)
class Schedule:
    """A stored schedule. `definition` is the request with defaults; times are simulated, aware UTC."""

    definition: dict[str, Any]
    client_token: str
    due: datetime
    created_at: datetime
    events: list[Event] = field(default_factory=list)
    firings_left: int = 0

    @property
    def key(self) -> tuple[str, str]:
        return self.definition["GroupName"], self.definition["Name"]

    @property
    def arn(self) -> str:
        group, name = self.key
        return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{group}/{name}"

    @property
    def dates(self) -> dict[str, float]:
        created_at = self.created_at.timestamp()
        return {"CreationDate": created_at, "LastModificationDate": created_at}

    def cancel(self) -> None:
        for event in self.events:
            event.cancel()


class Scheduler:
    """The service. `firing` determines when and how often each schedule fires."""

    def __init__(
        self, timeline: Timeline, functions: Invoker, queues: Queues, lock: RLock, firing: Firing = punctual
    ) -> None:
        self.firing = firing
        self.dead_letters: list[DeadLetter] = []
        self._timeline = timeline
        self._functions = functions
        self._queues = queues
        self._lock = lock
        self._model = service_model("scheduler")
        self._groups = {DEFAULT_GROUP}
        self._schedules: dict[tuple[str, str], Schedule] = {}
        self._operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "CreateSchedule": self._create,
            "GetSchedule": self._get,
            "DeleteSchedule": self._delete,
            "ListSchedules": self._list,
            "CreateScheduleGroup": self._create_group,
        }

    def handle(self, operation: str, url: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer an HTTP request of the service's API with status, headers and body."""
        try:
            if operation not in self._operations:
                raise _invalid(f"{operation} is not emulated")
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
        """The parameters in path, query and body. Raises `SchedulerError` for those outside the API model's bounds."""
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
        broken = violations(shape, parameters)
        if broken:
            plural = "s" if len(broken) > 1 else ""
            raise _invalid(f"{len(broken)} validation error{plural} detected: {'; '.join(broken)}")
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

    def _checked(self, wanted: dict[str, Any], token: str) -> Schedule:
        """The requested schedule. Raises `SchedulerError` for violations of rules that are not in the API model."""
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
        arn, sent = target["Arn"], target.get("Input", "{}")
        if len(sent.encode()) > MAX_INPUT_BYTES:
            raise _invalid(f"Input is longer than {MAX_INPUT_BYTES} bytes.")
        try:
            if arn.startswith("arn:aws:lambda:"):
                self._functions.find(arn)
                json.loads(sent)  # a queue accepts any text
            elif arn.startswith("arn:aws:sqs:"):
                self._queues.find(arn)
            else:
                raise _invalid(f"Provided Arn is not in correct format, or not emulated: {arn}")
        except (UnknownFunction, UnknownQueue) as error:
            raise _invalid(f"The target does not exist: {error}") from error
        except ValueError as error:
            raise _invalid(f"Invalid JSON Input: {error}") from error
        self._known_group(definition["GroupName"])
        return Schedule(definition, token, due, created_at=self._timeline.now())

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
        sent = json.dumps(scheduled_event(schedule.arn, schedule.due))
        if "Input" in target:
            sent = self._filled_in(schedule, target["Input"])
        if target["Arn"].startswith("arn:aws:sqs:"):
            self._queues.send(target["Arn"], sent)
        else:
            self._invoke(target, json.loads(sent))
        schedule.firings_left -= 1
        if schedule.firings_left == 0:
            self._complete(schedule)

    def _invoke(self, target: dict[str, Any], event: Any) -> None:
        try:
            self._functions.invoke_later(target["Arn"], event)
        except UnknownFunction as error:
            queue = target.get("DeadLetterConfig", {}).get("Arn")
            reason = {"errorType": "ResourceNotFoundException", "errorMessage": str(error)}
            letter = DeadLetter(self._timeline.now(), queue, target["Arn"], event, 1, reason)
            self.dead_letters.append(letter)

    def _complete(self, schedule: Schedule) -> None:
        with self._lock:
            known = self._schedules.get(schedule.key) is schedule
            if known and schedule.definition["ActionAfterCompletion"] == "DELETE":
                del self._schedules[schedule.key]

    def _filled_in(self, schedule: Schedule, text: str) -> str:
        """The input with its context attributes replaced.

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
        return {"Arn": schedule.arn, **schedule.definition, **schedule.dates}

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
        start, size = int(wanted.get("NextToken", 0)), wanted.get("MaxResults", DEFAULT_PAGE)
        summaries = [
            {
                "Arn": schedule.arn,
                "GroupName": schedule.key[0],
                "Name": schedule.key[1],
                "State": schedule.definition["State"],
                "Target": {"Arn": schedule.definition["Target"]["Arn"]},
                **schedule.dates,
            }
            for schedule in found[start : start + size]
        ]
        more = {"NextToken": str(start + size)} if start + size < len(found) else {}
        return {"Schedules": summaries, **more}

    def _create_group(self, wanted: dict[str, Any]) -> dict[str, Any]:
        name = wanted["Name"]
        if name in self._groups:
            raise SchedulerError("ConflictException", 409, f"Schedule group {name} already exists.")
        self._groups.add(name)
        return {"ScheduleGroupArn": f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule-group/{name}"}

    def _known(self, group: str, name: str) -> Schedule:
        self._known_group(group)
        if (group, name) not in self._schedules:
            raise SchedulerError("ResourceNotFoundException", 404, f"Schedule {name} does not exist.")
        return self._schedules[group, name]

    def _known_group(self, name: str) -> None:
        if name not in self._groups:
            raise SchedulerError("ResourceNotFoundException", 404, f"Schedule group {name} does not exist.")


def scheduled_event(arn: str, at: datetime) -> dict[str, Any]:
    """The event of a schedule without Input that fires at `at`."""
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
    """The names of all time zones, cached because reading them is slow."""
    return frozenset(available_timezones())


def _instant_of(expression: str, zone: str) -> datetime:
    if zone not in _zones():
        raise _invalid(f"The ScheduleExpressionTimezone {zone} is not valid.")
    match = re.fullmatch(r"at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)", expression, re.ASCII)
    if match is None:
        if re.fullmatch(r"(rate|cron)\(.+\)", expression):
            raise _invalid("Only the template's recurring schedules are emulated.")
        raise _invalid(f"Invalid Schedule Expression {expression}.")
    try:
        local = datetime.fromisoformat(match[1]).replace(tzinfo=ZoneInfo(zone))
    except ValueError as error:
        raise _invalid(f"Invalid Schedule Expression {expression}.") from error
    return local.astimezone(UTC)
