"""Record the OpenAPI document again: `PYTHONPATH=.:layers/redial python -m tests.contract.record_openapi`."""

import json
from pathlib import Path

from redial.api.app import app
from redial.api.service import openapi_document

RECORDED = Path(__file__).parent / "recorded" / "api" / "openapi.json"


def document() -> str:
    """The document that the API serves, without the version, with keys in the order of the answer."""
    assert app.methods("/openapi.json") == ["GET"], "the document covers only loaded routes"
    served = json.loads(openapi_document())
    del served["info"]["version"]
    return json.dumps(served, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    RECORDED.write_text(document(), encoding="utf-8")
