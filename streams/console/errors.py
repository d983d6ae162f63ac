"""Errors that a person can cure: one clear sentence on standard error, a useful exit code, never a traceback."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape


class UserError(Exception):
    """Something outside Stepwatch is wrong. The message says what it is and what to do about it."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def complain(error: UserError) -> int:
    """Print the sentence; return the exit code."""
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
    return error.exit_code


def of_settings(error: ValidationError) -> UserError:
    """The sentences for settings that cannot be used, by the names that a person gave them."""
    return UserError("\n".join(_setting(problem) for problem in error.errors()))


def of_system(error: OSError) -> UserError:
    """The sentence for a file that the system refuses, or a full disk."""
    where = f"{error.filename}: " if error.filename else ""
    return UserError(f"{where}{error.strerror or error}")


def _setting(problem: Mapping[str, Any]) -> str:
    name = "_".join(str(part) for part in problem["loc"])
    what = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    shown = "" if "password" in name else f"={problem['input']}"
    return f"STEPWATCH_{name.upper()}{shown}: {what}"
