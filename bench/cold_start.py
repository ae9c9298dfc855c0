"""Cold starts: modules loaded, and import time as a ratio to a bare handler with the same AWS clients.

The functions use the layer as it is deployed, built for this processor. Times are processor time, which other programs
on the machine disturb less than the clock's.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.package import built_layer
from bench.report import say
from bench.stack import function_name
from local import ROOT
from local.aws.functions import Function
from local.aws.requests import ENVIRONMENT

ROUNDS = 9

_STORES = ("executions", "agents", "batches", "lines", "queue", "delayed")
_SENDS = ("timers", "invoker", "invoker._queues()")
"""To the queues of dial and deliver, whose client is made on first use."""
_CARRIER = ('carrier("twilio")', 'callback_url("twilio", "execution", 1)')
USES = {
    "api": (*_STORES, "accounts", "idempotency", "undelivered", "circuits", *_SENDS, "check_webhook"),
    "batch": (*_STORES, "timers", "invoker", "files", "contacts"),
    "carrier_callback": (*_STORES, *_SENDS, 'callback_reader("twilio")'),
    "deliver": ("execution_deliverer", "batch_deliverer", "agents", "accounts", "webhooks", "timers", "invoker"),
    "dial": (*_STORES, "circuits", "pacer", *_CARRIER, "accounts", *_SENDS),
    "sweep": (*_STORES, "due_items", "sweep_leases", *_CARRIER, "timers", "invoker"),
    "tally": ("batches", "counts", "invoker"),
}
"""The services that each function uses, without those of the api that few requests need: files, contacts."""

_TIMED = """
import importlib, json, sys, time
started = time.process_time()
{0}
print(json.dumps([time.process_time() - started, len(sys.modules)]))
"""
_LOADED = """
importlib.import_module("functions.{0}.handler")
from redial.runtime.services import services_of
services = services_of("{0}")
{1}
"""
"""Loads a function and builds the services that it uses, as its first events do."""
_BARE = """
import boto3
from botocore.config import Config
for service in {0}:
    boto3.client(service, config=Config(retries={{"mode": "standard", "total_max_attempts": 4}}))
"""
_CLIENTS = """
import boto3, importlib, json
made, make = [], boto3.client
boto3.client = lambda service, *arguments, **options: (made.append(service), make(service, *arguments, **options))[1]
{0}
print(json.dumps(made))
"""
"""Prints the AWS clients that building the services makes."""


@dataclass(frozen=True)
class ColdStart:
    """Modules loaded and median seconds, of a function and of its bare handler. `clients` in the order of creation."""

    function: str
    clients: tuple[str, ...]
    modules: int
    bare_modules: int
    seconds: float
    bare_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare_seconds


def measure(functions: Sequence[Function]) -> list[ColdStart]:
    """Each function in `ROUNDS` rounds, by turns with its bare handler, after one round of warm-up."""
    version = "{}.{}".format(*sys.version_info)
    with built_layer(LAYER_PROCESSOR=platform.machine(), LAYER_PYTHON=version) as layer:
        return _measured(functions, layer / "python")


def _measured(functions: Sequence[Function], layer: Path) -> list[ColdStart]:
    starts = []
    for function in functions:
        name = function_name(function.module)
        say(f"cold start of {name}")
        loaded = _LOADED.format(name, uses(name))
        clients = _run(_CLIENTS.format(loaded), function, layer)
        bare = _BARE.format(list(dict.fromkeys(clients)))
        sources = _TIMED.format(loaded), _TIMED.format(bare)
        rounds = [[_run(source, function, layer) for source in sources] for _ in range(1 + ROUNDS)][1:]
        seconds, bare_seconds = (median(one[which][0] for one in rounds) for which in (0, 1))
        modules, bare_modules = (rounds[0][which][1] for which in (0, 1))
        starts.append(ColdStart(name, tuple(clients), modules, bare_modules, seconds, bare_seconds))
    return starts


def uses(function: str) -> str:
    """Source text that builds what the function uses of its `services`."""
    return "\n".join(f"services.{use}" for use in USES[function])


def process_environment(function: Function, layer: Path = ROOT / "layers" / "redial") -> dict[str, str]:
    """The environment of a new process that runs the function."""
    path = f"{layer}{os.pathsep}{ROOT}"
    return {**function.environment, **ENVIRONMENT, "AWS_LAMBDA_FUNCTION_NAME": function.name, "PYTHONPATH": path}


def run_python(function: Function, *arguments: str, layer: Path = ROOT / "layers" / "redial") -> str:
    """Standard output of a new Python process with the function's environment. Raises `RuntimeError` if it fails."""
    environment = process_environment(function, layer)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(f"{function.module}: {done.stderr}")
    return done.stdout


def _run(source: str, function: Function, layer: Path) -> Any:
    return json.loads(run_python(function, "-c", source, layer=layer))
