"""Exit codes of the command, and the errors that end it."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; docs/command-line.md lists them."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    KEY = 5
    UNREACHABLE = 6
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command with `code`. `message`: what is wrong; `advice`: what to do, in a second line."""

    def __init__(self, message: str, advice: str | None = None, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.code = code
