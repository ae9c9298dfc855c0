"""What a cold start loads: modules, and import time as a ratio to a bare handler that makes the same clients.

Time is the processor's, which what else runs on the machine disturbs less than the clock's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from local import ROOT
from local.aws.functions import Function
from local.aws.requests import ENVIRONMENT

ROUNDS = 9

_STORES = ("executions", "agents", "batches", "lines", "queue", "delayed")
_CARRIER = ('carrier("twilio")', 'callback_url("twilio", "execution", 1)')
USES = {
    "api": (*_STORES, "accounts", "idempotency", "undelivered", "circuits", "timers", "invoker", "check_webhook"),
    "batch": (*_STORES, "timers", "invoker", "files", "contacts"),
    "carrier_callback": (*_STORES, "timers", "invoker", 'callback_reader("twilio")'),
    "deliver": ("execution_deliverer", "batch_deliverer", "agents", "accounts", "webhooks", "timers"),
    "dial": (*_STORES, "circuits", *_CARRIER, "execution_deliverer", "accounts", "webhooks", "timers", "invoker"),
    "sweep": (*_STORES, "due_items", "sweep_leases", *_CARRIER, "timers", "invoker"),
    "tally": ("batches", "counts", "invoker"),
}
"""What each function uses of its services. Those of the api that few requests need are left out: files, contacts."""

FUNCTION = """
import importlib, json, sys, time
started = time.process_time()
importlib.import_module("functions.{0}.handler")
from redial.runtime.services import services_of
services = services_of("{0}")
{1}
print(json.dumps([time.process_time() - started, len(sys.modules)]))
"""
"""Loads a function and builds the services that it uses, as its first events do."""

BARE = """
import json, sys, time
started = time.process_time()
import boto3
from botocore.config import Config
for service in {0}:
    boto3.client(service, config=Config(retries={{"mode": "standard", "total_max_attempts": 4}}))
print(json.dumps([time.process_time() - started, len(sys.modules)]))
"""

CLIENTS = """
import boto3, importlib, json
made, make = [], boto3.client
boto3.client = lambda service, *arguments, **options: (made.append(service), make(service, *arguments, **options))[1]
importlib.import_module("functions.{0}.handler")
from redial.runtime.services import services_of
services = services_of("{0}")
{1}
print(json.dumps(made))
"""
"""Prints which clients building its services makes."""


@dataclass(frozen=True)
class ColdStart:
    """Of one function and of the bare handler: modules loaded, and median seconds. `clients`: in the order made."""

    function: str
    clients: tuple[str, ...]
    modules: int
    bare_modules: int
    seconds: float
    bare_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare_seconds


def measure(functions: Sequence[Function], say: Callable[[str], None]) -> list[ColdStart]:
    """Each function in `ROUNDS` rounds, by turns with its bare handler, after one round to warm up."""
    starts = []
    for function in functions:
        name = function.module.split(".")[1]
        say(f"cold start of {name}")
        clients = _run(CLIENTS.format(name, uses(name)), function)
        sources = FUNCTION.format(name, uses(name)), BARE.format(list(dict.fromkeys(clients)))
        rounds = [[_run(source, function) for source in sources] for _ in range(1 + ROUNDS)][1:]
        seconds, bare_seconds = (median(one[which][0] for one in rounds) for which in (0, 1))
        modules, bare_modules = (rounds[0][which][1] for which in (0, 1))
        starts.append(ColdStart(name, tuple(clients), modules, bare_modules, seconds, bare_seconds))
    return starts


def uses(function: str) -> str:
    """Source text that builds what the function uses of its `services`."""
    return "\n".join(f"services.{use}" for use in USES[function])


def process_environment(function: Function) -> dict[str, str]:
    """The environment of a fresh process that is to run it."""
    return {
        **function.environment,
        **ENVIRONMENT,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'layers' / 'redial'}",
    }


def _run(source: str, function: Function) -> Any:
    """What a fresh process with a function's environment prints, as JSON. Raises `RuntimeError` when it fails."""
    command = [sys.executable, "-c", source]
    environment = process_environment(function)
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{function.module}: {done.stderr}")
    return json.loads(done.stdout)
