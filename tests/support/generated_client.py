"""A Python client that openapi-python-client generates from the served OpenAPI document."""

import importlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

from openapi_python_client import generate
from openapi_python_client.config import Config, ConfigFile, MetaType

from tests.support.api import openapi
from tests.support.local_stack import request

PACKAGE = "generated_redial_client"


def generate_client(folder: Path, base_url: str) -> list[str]:
    """Generate the package `PACKAGE` in `folder` from the document served at `base_url`. Returns the generator's
    warnings and errors."""
    source = folder / "openapi.json"
    source.write_bytes(request("GET", f"{base_url}/openapi.json").body)
    config = Config.from_sources(
        ConfigFile(post_hooks=[]),  # by default it runs ruff, to format the code
        MetaType.NONE,
        document_source=source,
        file_encoding="utf-8",
        overwrite=False,
        output_path=folder / PACKAGE,
    )
    return [f"{one.level}: {one.header} {one.detail or ''}" for one in generate(config=config)]


class GeneratedClient:
    """The generated package. Each request asserts that the answer has the expected status, was parsed as the documented
    model, and lost nothing in parsing. `called`: the ids of the operations called so far."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self.client = self._module("client").AuthenticatedClient(base_url=base_url, token=api_key)
        self.called: set[str] = set()
        self._tags = {
            operation["operationId"]: operation["tags"][0]
            for operations in openapi()["paths"].values()
            for operation in operations.values()
        }

    @staticmethod
    def _module(name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{name}")

    def model(self, name: str, **fields: Any) -> Any:
        """An instance of a generated model."""
        return getattr(self._module("models"), name)(**fields)

    def from_dict(self, name: str, values: dict[str, Any]) -> Any:
        """An instance of a generated model, from JSON."""
        return getattr(self._module("models"), name).from_dict(values)

    def file(self, name: str, content: bytes) -> Any:
        """A file to upload."""
        return self._module("types").File(payload=BytesIO(content), file_name=name, mime_type="text/csv")

    def do(self, operation_id: str, *path: str, expect: int = 200, **arguments: Any) -> Any:
        """Call an operation and return its parsed answer."""
        self.called.add(operation_id)
        operation = self._module(f"api.{self._tags[operation_id]}.{operation_id}")
        answer = operation.sync_detailed(*path, client=self.client, **arguments)
        assert answer.status_code == expect, f"{operation_id}: {answer.status_code} {answer.content!r}"
        if not answer.content:
            assert answer.parsed is None
        elif isinstance(answer.parsed, str):
            assert answer.parsed.encode() == answer.content
        else:
            assert _plain(answer.parsed) == _without_times(json.loads(answer.content)), operation_id
        return answer.parsed


def _plain(parsed: Any) -> Any:
    """A parsed answer, converted back to JSON."""
    return [_plain(one) for one in parsed] if isinstance(parsed, list) else _without_times(parsed.to_dict())


def _without_times(value: Any) -> Any:
    """`value` with times as datetimes: a client writes them in another ISO 8601 format."""
    if isinstance(value, dict):
        return {name: _without_times(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_times(one) for one in value]
    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value


@contextmanager
def loaded_client(folder: Path, base_url: str, api_key: str) -> Iterator[GeneratedClient]:
    """The client in `folder`, with its package importable within the context."""
    sys.path.insert(0, str(folder))
    try:
        generated = GeneratedClient(base_url, api_key)
        with generated.client:
            yield generated
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]
