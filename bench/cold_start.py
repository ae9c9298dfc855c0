"""Cold starts: modules loaded, and import time as a ratio to a bare handler with the same AWS clients.

The functions use the layer as deployed, built for this processor. Times are processor time, which other programs on the
machine disturb less than clock time.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
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
LAYER = ROOT / "layers" / "redial"

_STORES = ("executions", "agents", "batches", "lines", "queue", "delayed")
_SENDS = ("timers", "invoker", "invoker._queues()")
"""The services that send to the queues of dial and deliver, whose client is created on first use."""
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
"""Prints the AWS clients that are created with the services."""


@dataclass(frozen=True)
class Compared:
    """Processor seconds of a function and of its bare handler."""

    function: str
    seconds: float
    bare_seconds: float

    @property
    def ratio(self) -> float:
        return self.seconds / self.bare_seconds


@dataclass(frozen=True)
class ColdStart(Compared):
    """Medians, and the modules loaded by both. `clients`: in the order of creation."""

    clients: tuple[str, ...]
    modules: int
    bare_modules: int


def measure(functions: Sequence[Function]) -> list[ColdStart]:
    """Measure each function in `ROUNDS` rounds, in turn with its bare handler, after one round of warm-up."""
    version = "{}.{}".format(*sys.version_info)
    with built_layer(LAYER_PROCESSOR=platform.machine(), LAYER_PYTHON=version) as layer:
        return [_measured(function, layer / "python") for function in functions]


def _measured(function: Function, layer: Path) -> ColdStart:
    def run(source: str) -> Any:
        return json.loads(run_python(function, "-c", source, layer=layer))

    name = function_name(function.module)
    say(f"cold start of {name}")
    loaded = _LOADED.format(name, uses(name))
    clients = run(_CLIENTS.format(loaded))
    bare = _BARE.format(list(dict.fromkeys(clients)))
    rounds = [(run(_TIMED.format(loaded)), run(_TIMED.format(bare))) for _ in range(1 + ROUNDS)][1:]
    seconds, bare_seconds = (median(one[which][0] for one in rounds) for which in (0, 1))
    (_, modules), (_, bare_modules) = rounds[0]
    return ColdStart(name, seconds, bare_seconds, tuple(clients), modules, bare_modules)


def uses(function: str) -> str:
    """Source text that builds the `services` that the function uses."""
    return "\n".join(f"services.{use}" for use in USES[function])


def run_python(
    function: Function, *arguments: str, layer: Path = LAYER, stdin: str = "", more: Mapping[str, str] | None = None
) -> str:
    """The standard output of a new Python process with the function's environment and `more` variables.

    Raises `RuntimeError` if it fails.
    """
    done = subprocess.run(  # noqa: S603  this interpreter, with our own module
        [sys.executable, *arguments],
        check=False,
        env={
            **function.environment,
            **ENVIRONMENT,
            "AWS_LAMBDA_FUNCTION_NAME": function.name,
            "PYTHONPATH": f"{layer}{os.pathsep}{ROOT}",
            **(more or {}),
        },
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{function.module}: exit status {done.returncode}: {done.stdout[-2000:]} {done.stderr}")
    return done.stdout
