"""Secrets and signatures are compared in constant time, and only if a comparison is needed.

API keys are looked up by their hash, without a comparison (see `redial.usecases.accounts`).
"""

import ast
import re

import pytest

from tests.support.template import ROOT

SOURCES = sorted([*ROOT.glob("layers/redial/redial/**/*.py"), *ROOT.glob("functions/**/*.py")])
SECRET = re.compile(r"secret|signature|signed|token|password|(api|shared)_?key|key_?(hash|digest)|^expected$|^digest$")
BYTE_BY_BYTE = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)


def compared(source: str) -> list[str]:
    """Comparisons in `source` that stop at the first different byte and contain a secret's name."""
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


def test_no_secret_is_compared_byte_by_byte() -> None:
    assert len(SOURCES) > 50
    assert {str(path): found for path in SOURCES if (found := compared(path.read_text()))} == {}


@pytest.mark.parametrize(
    "source",
    [
        "signature == expected",
        "key.key_hash != stored",
        "known.auth_token in tokens",
        "x = [a for a in b if a == apiKey]",
    ],
)
def test_a_comparison_byte_by_byte_is_found(source: str) -> None:
    assert len(compared(source)) == 1


def test_a_signature_is_compared_in_constant_time() -> None:
    compared_in = {
        source.relative_to(ROOT / "layers/redial/redial").as_posix(): count
        for source in SOURCES
        if (count := calls_of(source.read_text(), "hmac.compare_digest"))
    }
    assert compared_in == {"carriers/twilio/callbacks.py": 2, "wire/webhook_signature.py": 1}
