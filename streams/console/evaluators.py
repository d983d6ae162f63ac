"""`stepwatch evaluators`: what is judged, each evaluator in its own words; those of installed packages included."""

import inspect
import re
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluators.base import COMMON_CODES, Combining, Evaluator, SpanLocal
from streams.console.errors import UserError
from streams.custom_evaluators import all_evaluators

# A line break that neither ends a paragraph nor stands before an item or a `Counts:`, `Fails:` and the like.
_WITHIN_PARAGRAPH = re.compile(r"(?<!\n)\n(?!\n|- |[A-Z][a-z ]+: )[ ]*")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluators", rich_help_panel="Offline")(evaluators)


def evaluators(
    name: Annotated[str | None, typer.Argument(help="One evaluator: its whole definition.")] = None,
) -> None:
    """What is judged: the list, or one evaluator's definition with its reason codes."""
    screen = Console()
    known = all_evaluators()
    if name is None:
        screen.print(_list(known))
        return
    chosen = [evaluator for evaluator in known if evaluator.name.lower() == name.lower()]
    if not chosen:
        raise UserError(f"no evaluator is called {name!r}; `stepwatch evaluators` lists them")
    for evaluator in chosen:
        screen.print(f"[bold]{evaluator.name}[/] {evaluator.version}, {shape_of(evaluator)}\n")
        screen.print(escape(unwrapped(inspect.getdoc(type(evaluator)) or "")))
        codes = ", ".join(sorted(evaluator.reason_codes - COMMON_CODES))
        screen.print(f"\nReason codes: {codes}; any may be: {', '.join(sorted(COMMON_CODES))}\n")


def unwrapped(docstring: str) -> str:
    """A docstring whose lines end where the source's margin is, as paragraphs that any terminal may wrap."""
    return _WITHIN_PARAGRAPH.sub(" ", docstring)


def shape_of(evaluator: Evaluator) -> str:
    """What an evaluator looks at, in a word."""
    if isinstance(evaluator, SpanLocal):
        return "from the span alone"
    return "from what the others said" if isinstance(evaluator, Combining) else "in context"


def _list(known: tuple[Evaluator, ...]) -> Table:
    table = Table("evaluator", "version", "judges", "what it says", box=None)
    for evaluator in known:
        first = (inspect.getdoc(type(evaluator)) or "").split("\n", 1)[0]
        table.add_row(evaluator.name, evaluator.version, shape_of(evaluator), escape(first))
    return table
