"""A command run as a user runs it, but for the start of an interpreter."""

import gc
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from streams.console.main import main


class Done(NamedTuple):
    """What a command said and how it ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """`run("score", path)` is `stepwatch score path`, in a pipe."""
    monkeypatch.setenv("COLUMNS", "100")
    threshold = gc.get_threshold()

    def command(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["stepwatch", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        finally:
            gc.set_threshold(*threshold)
        said = capfd.readouterr()
        return Done(code, said.out, said.err)

    return command
