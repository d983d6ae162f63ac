"""`stepwatch evaluators`: what is judged, each evaluator in its own words; those of installed packages included."""

import ast
import inspect
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from evaluators.base import COMMON_CODES
from evaluators.protocols import Combining, Evaluator, SpanLocal
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
        screen.print(escape(unwrapped(definition_of(evaluator))))
        codes = ", ".join(sorted(evaluator.reason_codes - COMMON_CODES))
        screen.print(f"\nReason codes: {codes}; any may be: {', '.join(sorted(COMMON_CODES))}\n")


def definition_of(evaluator: Evaluator) -> str:
    """What counts and what does not: the docstring of its class, from the source where a compiled class has none."""
    kind = type(evaluator)
    said = inspect.getdoc(kind)
    if said:
        return said
    module = Path(sys.modules[kind.__module__].__file__ or "")
    source = ast.parse(module.with_name(f"{module.name.partition('.')[0]}.py").read_text())
    found = (node for node in source.body if isinstance(node, ast.ClassDef) and node.name == kind.__name__)
    return next((ast.get_docstring(node) or "" for node in found), "")


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
        first = definition_of(evaluator).split("\n", 1)[0]
        table.add_row(evaluator.name, evaluator.version, shape_of(evaluator), escape(first))
    return table
