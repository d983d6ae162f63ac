"""`stepwatch replay`: read a piece of the spans topic once more, beside everything that runs, and say what is different."""

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from schemas.moment import read_moment
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, Store, effective
from streams.console.progress import Advance
from streams.console.upkeep import WORK_PANEL, changes_table
from streams.settings import Settings

if TYPE_CHECKING:
    from schemas.registry import Registry
    from streams.store.shadow import Comparison
    from streams.upkeep.replay import Piece, Place

SAYS = {
    "equal": "say the same",
    "same verdicts": "have the same verdicts, and say something else otherwise",
    "changed": "have other verdicts",
    "missing": "are missing in the replay",
    "only in the replay": "are only in the replay",
    "other spans": "were judged on other spans: they have grown since, or spans were dropped",
    "not decided in both": "are open on one side",
    "began before": "began before the replay did, and are there in part",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel=WORK_PANEL)(replay)


def replay(
    from_: Annotated[
        str | None, typer.Option("--from", help="An offset of every partition, a time, or how long ago: 2h.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="And before. Default: the end of the topic as it is now.")] = None,
    namespace: Annotated[str, typer.Option(help="Name of the shadow: the database is STORE_NAME.")] = "replay",
    workflows: Annotated[Path | None, typer.Option(help="Another registry than the one in force.")] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Drop the namespace; nothing is read.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="Name the namespaces that are there; nothing is read.")] = False,
    bootstrap_servers: Bootstrap = None,
    clickhouse_url: Store = None,
) -> None:
    """Judge a piece of the spans topic again, into tables of its own, and compare them with the live ones.

    By the code of the scorer, from the spans as they came; no outcomes, no alerts, no dead letters, no committed offsets. Ends at
    the end of the topic as it was at the start. With a registry of yours it shows what that would change. A replay that was
    interrupted is named by --list, dropped and begun anew.
    """
    from streams.registry_file import read_registry
    from streams.store.shadow import compare, finish, make, namespaces, shadow_of
    from streams.store.shadow import drop as drop_shadow

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    shadow = shadow_of(settings, namespace)
    console = Console(highlight=False, soft_wrap=True)
    if list_:
        for each in namespaces(settings):
            state = "finished" if each.is_finished else "not finished, or not yet"
            console.print(f"{each.name}: {state}, {each.size / 1e6:,.1f} MB")
        return
    if drop:
        drop_shadow(settings, shadow)
        console.print(f"{shadow.clickhouse_database} is dropped")
        return
    if from_ is None:
        raise UserError("--from: say where to begin, as --from 2h or --from 0")
    now_ms = int(time.time() * 1000)
    registry = read_registry(workflows) if workflows else None
    first, end = place_of("--from", from_, now_ms), place_of("--to", to, now_ms) if to else None
    make(settings, shadow)
    try:
        pieces = asyncio.run(_read(settings, shadow, first, end, registry))
    except BaseException:
        cure = f"`stepwatch replay --drop --namespace {namespace}` drops it"
        typer.echo(f"{shadow.clickhouse_database} holds what was read until now: {cure}", err=True)
        raise
    finish(shadow)
    n = sum(piece.end - piece.first for piece in pieces.values())
    console.print(f"{n:,} records of {len(pieces)} partitions are judged into {shadow.clickhouse_database}")
    read = {partition: (piece.first_ms, piece.last_ms) for partition, piece in pieces.items()}
    _tell(console, compare(settings, shadow, read))


def place_of(option: str, text: str, now_ms: int) -> "Place":
    """An offset or a moment. Raises UserError."""
    from streams.upkeep.replay import Place

    if text.isdecimal():
        return Place(offset=int(text))
    try:
        return Place(moment_ms=read_moment(text, now_ms))
    except ValueError as error:
        raise UserError(f"{option} {error}, nor an offset") from error


async def _read(
    settings: Settings, shadow: Settings, first: "Place", end: "Place | None", registry: "Registry | None"
) -> "dict[int, Piece]":
    from streams.config_log import read_config
    from streams.custom_evaluators import all_evaluators
    from streams.upkeep.replay import Replay
    from streams.worker.app import read_config_record

    config = read_config_record(await read_config(settings))._replace(early=frozenset())
    if registry is not None:
        config = config._replace(registry=registry)
    reading = Replay(settings, shadow, config, all_evaluators())
    try:
        with Advance(Console(stderr=True)) as advance:
            advance.begin("replaying", await reading.begin(first, end))
            await reading.run(advance.at)
    finally:
        await reading.stop()
    return reading.pieces


def _tell(console: Console, found: "Comparison") -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    for kind, says in SAYS.items():
        if n := found.kinds[kind]:
            table.add_row(f"{n:,}", f"runs {says}")
    console.print(table)
    if found.changes:
        console.print(changes_table(found.changes))
