"""`stepwatch workflows infer`: a registry drafted from recorded traces, for a person to correct."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from schemas.config import ConfigError
from schemas.registry import EMPTY, parse_registry
from schemas.trajectory import TraceKey
from streams.console.errors import UserError
from streams.console.inputs import Files, collect, tell_skipped, tidy
from streams.console.progress import Advance
from streams.core.assemble import assemble
from streams.core.draft import draft_text
from streams.core.infer import Draft
from streams.offline import TENANT, SkipList
from streams.spool import CAP, TraceSpool

workflows = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(workflows, name="workflows", help="The registry: draft one from recorded traces.")


@workflows.command()
def infer(
    files: Files,
    out: Annotated[Path | None, typer.Option(help="Where the draft goes; default: standard output.")] = None,
) -> None:
    """Draft workflows.yaml from recorded traces: tools, argument schemas, guesses at writes, budgets as comments."""
    screen, skipped, draft = Console(stderr=True, highlight=False), SkipList(), Draft()
    with tidy(), Advance(screen) as advance, TraceSpool() as spool:
        collect(files, spool.add, int(time.time() * 1000), skipped, advance)
        advance.begin("learning from spans", spool.items)
        for traces in spool.batches():
            for trace_id, items in traces.items():
                draft.see(assemble(TraceKey(TENANT, trace_id), items[:CAP], EMPTY, {}, "marker"))
                advance.add(len(items))
    text = draft_text(draft)
    _check(text)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    tell_skipped(screen, skipped)


def _check(text: str) -> None:
    """What is given out can be read back; only its size can be in the way."""
    try:
        parse_registry(text, "the draft")
    except ConfigError as error:
        cure = "draft it from the traces of fewer workflows"
        raise UserError(f"the draft cannot be used as it is ({error}); {cure}") from error
