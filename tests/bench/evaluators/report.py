"""What the bench prints: tables of figures with their targets; on the screen, and as Markdown for the docs."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class Figure(NamedTuple):
    """One measured figure. `met` None: nothing is asked of it."""

    what: str
    values: tuple[str, ...]
    target: str = ""
    met: bool | None = None


class Section(NamedTuple):
    """One table. `note` says what exactly was counted."""

    title: str
    columns: tuple[str, ...]  # of the values
    figures: Sequence[Figure]
    note: str = ""


def at_least(what: str, values: Sequence[str], value: float, target: float, unit: str = "") -> Figure:
    """A figure that should reach its target. NaN does not."""
    return Figure(what, tuple(values), f">= {target:g}{unit}", value >= target)


def show(screen: Console, section: Section) -> None:
    """Print a section as a table."""
    table = Table("", *section.columns, "target", "", title=escape(section.title), caption=escape(section.note) or None)
    table.columns[0].no_wrap = True
    for figure in section.figures:
        table.add_row(
            escape(figure.what), *map(escape, _padded(figure, section)), escape(figure.target), _MARKS[figure.met]
        )
    screen.print(table)


def missed(sections: Iterable[Section]) -> list[str]:
    """The figures that miss their targets, each named with its section."""
    return [f"{s.title}: {f.what}" for s in sections for f in s.figures if f.met is False]


def markdown(sections: Iterable[Section], head: str) -> str:
    """All sections as one page."""
    return head + "\n" + "\n".join(_page(section) for section in sections)


def _page(section: Section) -> str:
    lines = [f"## {section.title}", ""]
    if section.note:
        lines += [section.note, ""]
    lines += [_line(["", *section.columns, "target", ""]), "|" + " --- |" * (len(section.columns) + 3)]
    lines += [
        _line([f.what, *_padded(f, section), f.target, {None: "", True: "met", False: "**missed**"}[f.met]])
        for f in section.figures
    ]
    return "\n".join([*lines, ""])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _padded(figure: Figure, section: Section) -> list[str]:
    return [*figure.values, *[""] * (len(section.columns) - len(figure.values))]


_MARKS = {None: "", True: "[green]met[/]", False: "[bold red]missed[/]"}
