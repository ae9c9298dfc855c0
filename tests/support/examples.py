"""How many examples Hypothesis and schemathesis try: all in `make nightly`, a third in `make test`."""

from hypothesis import settings

GATE, NIGHTLY = "gate", "nightly"
"""Hypothesis profiles. `make nightly` asks for its own; pyproject.toml names the default."""
WHOLE = 100
"""Examples of a test that gives no number."""


def register_profiles() -> None:
    """Register both profiles: each run tries the same examples, without a deadline, and keeps nothing between runs."""
    settings.register_profile(GATE, settings.get_profile("ci"), max_examples=WHOLE // 3)
    settings.register_profile(NIGHTLY, settings.get_profile("ci"), max_examples=WHOLE)


def step() -> int:
    """Try every case in `make nightly` (1), every third one in `make test` (3), of many generated cases."""
    return round(WHOLE / settings().max_examples)


def examples(whole: int) -> int:
    """The number of examples for a test that tries `whole` in `make nightly`."""
    return -(-whole // step())
