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
    head, *rows = _cells(section)
    table = Table(*head, title=escape(section.title), caption=escape(section.note) or None)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*(_MARKS.get(cell, escape(cell)) for cell in row))
    screen.print(table)


def missed(sections: Iterable[Section]) -> list[str]:
    """The figures that miss their targets, each named with its section."""
    return [f"{s.title}: {f.what}" for s in sections for f in s.figures if f.met is False]


def markdown(sections: Iterable[Section], head: str) -> str:
    """All sections as one page."""
    return head + "\n" + "\n".join(_page(section) for section in sections)


def _page(section: Section) -> str:
    head, *rows = _cells(section)
    lines = [f"## {section.title}", "", *([section.note, ""] if section.note else [])]
    lines += [_line(head), "|" + " --- |" * len(head)]
    lines += [_line("**missed**" if cell == MISSED else cell for cell in row) for row in rows]
    return "\n".join([*lines, ""])


def _cells(section: Section) -> list[list[str]]:
    """Head and rows; the columns of targets only where there are some."""
    asked = any(figure.target for figure in section.figures)
    rows = [["", *section.columns, *(["target", ""] if asked else [])]]
    for what, values, target, met in section.figures:
        padding = [""] * (len(section.columns) - len(values))
        rows.append([what, *values, *padding, *([target, _WORDS[met]] if asked else [])])
    return rows


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


MET, MISSED = "met", "missed"
_WORDS = {None: "", True: MET, False: MISSED}
_MARKS = {MET: "[green]met[/]", MISSED: "[bold red]missed[/]"}
