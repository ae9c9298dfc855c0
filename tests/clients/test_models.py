"""The client's models are those of the OpenAPI document."""

import runpy

from tests.support.template import ROOT

GENERATE = ROOT / "clients/python/generate.py"


def test_the_models_are_generated_from_the_recorded_document() -> None:
    generator = runpy.run_path(str(GENERATE))
    shown = generator["MODELS"].read_text()
    assert generator["generated"]() == shown, "run: make client-models"
