"""Secrets and signatures are compared in constant time, and only where they must be compared at all.

API keys are found by their hash in one read: nothing is compared (see `redial.usecases.accounts`).
"""

import ast
import re
from pathlib import Path

import pytest

from tests.support.template import ROOT

SOURCES = sorted([*ROOT.glob("layers/redial/redial/**/*.py"), *ROOT.glob("functions/**/*.py")])
SECRET = re.compile(r"secret|signature|signed|token|password|(api|shared)_?key|key_?(hash|digest)|^expected$|^digest$")
BYTE_BY_BYTE = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def compared(source: str) -> list[str]:
    """The comparisons in `source` that end at the first byte which differs, and have a secret's name in them."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], BYTE_BY_BYTE):
            names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
            names |= {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}
            if any(SECRET.search(name.lower()) for name in names):
                found.append(ast.unparse(node))
    return found


def calls_of(source: str, function: str) -> int:
    return sum(isinstance(one, ast.Call) and ast.unparse(one.func) == function for one in ast.walk(ast.parse(source)))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: str(source.relative_to(ROOT)))
def test_no_secret_is_compared_byte_by_byte(source: Path) -> None:
    assert compared(source.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "signature == expected",
        "key.key_hash != stored",
        "known.auth_token in tokens",
        "x = [a for a in b if a == apiKey]",
    ],
)
def test_such_a_comparison_would_be_found(source: str) -> None:
    assert len(compared(source)) == 1


def test_a_signature_is_compared_in_constant_time() -> None:
    compared_in = {
        source.relative_to(ROOT / "layers/redial/redial").as_posix(): count
        for source in SOURCES
        if (count := calls_of(source.read_text(), "hmac.compare_digest"))
    }
    assert compared_in == {"carriers/twilio/callbacks.py": 2, "wire/webhook_signature.py": 1}
