"""Modules loaded by a cold start, most of which is spent on imports: unneeded modules cost time."""

import json
import subprocess
import sys
import tomllib

import pytest

from bench.cold_start import uses
from redial.carriers import CARRIERS
from tests.support.template import ROOT, functions

CONTRACTS = {
    one["id"]: one for one in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
}
API_ONLY = {"pydantic", "pydantic_core", "aws_lambda_powertools.event_handler"}
HTTP_CLIENT = {"redial.adapters.http", "requests", "httpx"}
CALLING_HOURS = {"redial.domain.phone_number", "zoneinfo"}  # loaded for an agent that has calling hours
NEVER = {
    "aws_xray_sdk",  # slower than boto3; Lambda traces without it
    "boto3.dynamodb.transform",  # loaded by boto3.resource("dynamodb")
    "moto",
    "phonenumbers",  # needed for calling hours only
    "twilio",  # Twilio's SDK
    "local",
    "tests",
}
FORBIDDEN = {
    "api": NEVER | HTTP_CLIENT,
    "batch": NEVER | HTTP_CLIENT | API_ONLY,
    "carrier_callback": NEVER | HTTP_CLIENT | API_ONLY | CALLING_HOURS,
    "deliver": NEVER | API_ONLY | CALLING_HOURS,
    "dial": NEVER | API_ONLY | CALLING_HOURS,
    "sweep": NEVER | API_ONLY | CALLING_HOURS,
    "tally": NEVER | HTTP_CLIENT | API_ONLY | CALLING_HOURS,
}
START = """
import importlib, json, sys
handler = importlib.import_module("functions.{0}.handler").handler
from redial.runtime.services import services_of
services = services_of("{0}")
{1}
print(json.dumps(sorted(sys.modules)))
"""


def _loaded(function: str) -> set[str]:
    """The modules loaded by a fresh process that has loaded a function and built its services."""
    environment = {
        **dict.fromkeys(functions()[function]["Environment"], "https://example.com"),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "KEEP_DAYS": "400",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'layers/redial'}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-c", START.format(function, uses(function))]
    run = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    loaded: list[str] = json.loads(run.stdout)
    return set(loaded)


def test_import_linter_keeps_every_function_and_every_carrier_apart() -> None:
    folders = {f"functions.{path.parent.name}" for path in ROOT.glob("functions/*/handler.py")}
    assert set(CONTRACTS["functions-apart"]["modules"]) == folders == {f"functions.{name}" for name in functions()}
    assert set(CONTRACTS["carriers-apart"]["modules"]) == {f"redial.carriers.{name}" for name in CARRIERS}


@pytest.mark.parametrize("function", sorted(FORBIDDEN))
def test_a_function_loads_no_unneeded_module(function: str) -> None:
    loaded = _loaded(function)
    assert f"functions.{function}.handler" in loaded
    assert sorted(loaded & FORBIDDEN[function]) == []
    others = {f"functions.{other}.handler" for other in FORBIDDEN} - {f"functions.{function}.handler"}
    assert not loaded & others


def test_every_function_has_a_list_of_unneeded_modules() -> None:
    assert set(FORBIDDEN) == set(functions())
