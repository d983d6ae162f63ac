"""How far long work is: a bar in a terminal, a line now and then in a pipe, nothing where the work is short."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 10.0


class Advance:
    """One or more pieces of work, one after the other. A context manager: the bar is gone at its end."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeRemainingColumn(), console=screen, transient=True)
        self._task: TaskID | None = None
        self._what, self._total, self._done, self._bytes = "", 0, 0, False
        self._hidden = not screen.is_terminal
        self._said_s = time.monotonic()

    def __enter__(self) -> Self:
        if self._screen.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._screen.is_terminal:
            self._bar.stop()

    def hide(self) -> None:
        """No bar from here on: results are about to be printed where it stands."""
        self._bar.stop()
        self._hidden = True

    def begin(self, what: str, total: int, *, in_bytes: bool = False) -> None:
        """The next piece of work, of this size."""
        self._what, self._total, self._done, self._bytes = what, total, 0, in_bytes
        if not self._hidden:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(what, total=total)

    def at(self, done: int) -> None:
        """So much of it is done."""
        self._done = done
        if self._task is not None and not self._hidden:
            self._bar.update(self._task, completed=done)
        elif not self._screen.is_terminal and time.monotonic() - self._said_s > LINE_EVERY_S:
            self._said_s = time.monotonic()
            self._screen.print(f"{self._what}: {self._size(done)} of {self._size(self._total)}", highlight=False)

    def add(self, done: int) -> None:
        """So much more of it is done."""
        self.at(self._done + done)

    def _size(self, number: int) -> str:
        return decimal(number) if self._bytes else f"{number:,}"
