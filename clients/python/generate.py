"""Write `redial_client/models.py` from the recorded OpenAPI document: `make client-models`.

The generator is datamodel-code-generator. Each schema, request body and query becomes a TypedDict, so the models cost
nothing at run time: a response is the parsed JSON. tests/clients/test_models.py fails if the file is out of date.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "tests/contract/recorded/api/openapi.json"
MODELS = HERE / "redial_client/models.py"
_HEAD = '"""Shapes of requests and responses. Written by generate.py from the OpenAPI document: do not edit."""\n'


def generated() -> str:
    """The models of the recorded document. Raises `subprocess.CalledProcessError` if the generator fails."""
    command = [
        sys.executable, "-m", "datamodel_code_generator",
        "--input", str(DOCUMENT), "--input-file-type", "openapi", "--openapi-scopes", "schemas", "paths", "parameters",
        "--output-model-type", "typing.TypedDict", "--target-python-version", "3.11", "--formatters", "builtin",
        "--use-standard-collections", "--use-union-operator", "--use-double-quotes", "--use-operation-id-as-name",
        "--use-schema-description", "--use-field-description", "--no-use-closed-typed-dict",
        "--custom-file-header", _HEAD,
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    MODELS.write_text(generated())
    print(f"wrote {MODELS.relative_to(Path.cwd())}" if MODELS.is_relative_to(Path.cwd()) else f"wrote {MODELS}")
