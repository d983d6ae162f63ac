"""Where the demonstration is shown: a live page on a terminal, or a line every few seconds into a pipe.

Both take the same snapshots; nothing but the look differs.
"""

import io
import re
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, RenderableType
from rich.live import Live

from streams.demo.expected import AlertEvent
from streams.demo.script import Schedule
from streams.demo.view import Snapshot, alert_line, line, page

LINE_EVERY_S = 5.0
PICTURE_WIDTH = 100
FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
FONTS = '"Fira Code", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace'


class Screen(Protocol):
    """Used with `with`; shows what it is given."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        ...

    def show(self, snapshot: Snapshot, news: Iterable[AlertEvent]) -> None:
        """Show this moment; `news` are the alert events since the last one."""
        ...


class LiveScreen:
    """The live page."""

    def __init__(self, console: Console, schedule: Schedule) -> None:
        self._schedule, self._console = schedule, console
        self._live = Live(console=console, refresh_per_second=4, transient=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Begin to show."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last page standing."""
        self._live.stop()

    def show(self, snapshot: Snapshot, news: Iterable[AlertEvent]) -> None:
        """Replace the page."""
        self._live.update(page(snapshot, self._schedule, self._console.height))


class LineScreen:
    """Plain lines: every few seconds, and at every alert event at once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said_at_s = float("-inf")

    def __enter__(self) -> Self:
        """Nothing to prepare."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to clean up."""

    def show(self, snapshot: Snapshot, news: Iterable[AlertEvent]) -> None:
        """Print what is new, or due."""
        for event in news:
            plain(self._console, alert_line(event))
        if snapshot.at_s - self._said_at_s >= LINE_EVERY_S:
            self._said_at_s = snapshot.at_s
            plain(self._console, line(snapshot))


class Picture:
    """Another screen, and at its end a picture of the page as it was last while the workflow was broken."""

    def __init__(self, screen: Screen, schedule: Schedule, path: Path) -> None:
        self._screen, self._schedule, self._path = screen, schedule, path
        self._page: RenderableType | None = None

    def __enter__(self) -> Self:
        """Begin to show."""
        self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the picture, if there was anything to see."""
        self._screen.__exit__(kind, error, trace)
        if self._page is not None:
            easel = Console(record=True, width=PICTURE_WIDTH, file=io.StringIO(), force_terminal=True)
            easel.print(self._page)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(without_fetching(easel.export_svg(title="stepwatch demo")), encoding="utf-8")

    def show(self, snapshot: Snapshot, news: Iterable[AlertEvent]) -> None:
        """Show it, and keep it while the workflow is broken."""
        self._screen.show(snapshot, news)
        if snapshot.phase == "broken":
            self._page = page(snapshot, self._schedule)


def screen_for(console: Console, schedule: Schedule, picture: Path | None = None) -> Screen:
    """The screen that fits where the console writes to; with `picture` it also leaves an SVG there."""
    screen: Screen = LiveScreen(console, schedule) if console.is_terminal else LineScreen(console)
    return screen if picture is None else Picture(screen, schedule, picture)


def without_fetching(svg: str) -> str:
    """The picture with the reader's own fonts: one that is looked at tells no outside host of it."""
    return FONT_FACE.sub("", svg).replace("font-family: Fira Code, monospace", f"font-family: {FONTS}")


def plain(console: Console, text: str) -> None:
    """One line as it is, however narrow the console is."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)
