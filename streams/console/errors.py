"""Errors that a person can cure: one clear sentence on standard error, a useful exit code, never a traceback."""

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
