"""A readable log of the run: printed, and also written to a file if configured."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

FILE_VARIABLE = "REDIAL_E2E_LOG"


class RunLog:
    """Lines of wall time (UTC), seconds since the beginning, and a message."""

    def __init__(self, file: Path | None = None) -> None:
        self._began = time.monotonic()
        self._file = file
        if file is not None:
            file.write_text("")

    @classmethod
    def from_environment(cls) -> "RunLog":
        name = os.environ.get(FILE_VARIABLE)
        return cls(Path(name) if name else None)

    def chapter(self, title: str) -> None:
        self._write("")
        self._write(title)

    def __call__(self, what: str) -> None:
        seconds = time.monotonic() - self._began
        self._write(f"{datetime.now(UTC):%H:%M:%S} {seconds:7.1f} s  {what}")

    def _write(self, line: str) -> None:
        print(line, flush=True)
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(line + "\n")
