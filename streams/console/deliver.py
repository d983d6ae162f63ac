"""`stepwatch deliver`: alert events to webhooks, Slack, PagerDuty, Alertmanager and files; `check` and `test` before."""

import asyncio
import os
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich import print as say
from rich.markup import escape

from schemas.config import ConfigError
from schemas.target import Target, Targets
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, effective, log_to_stderr

deliver = typer.Typer(invoke_without_command=True)
DEFAULT = Path("targets.yaml")
HELP = "The target file."
TargetFile = Annotated[Path, typer.Option("--targets", help=HELP)]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(deliver, name="deliver", help="Deliver alert events to people's tools.", rich_help_panel="Parts")


@deliver.callback()
def run(context: typer.Context, targets: TargetFile = DEFAULT, bootstrap_servers: Bootstrap = None) -> None:
    """Deliver alert events until Ctrl-C."""
    if context.invoked_subcommand is not None:
        context.obj = targets
        return
    from streams.delivery.app import serve
    from streams.delivery.secrets import reveal

    log_to_stderr()
    read = read_targets(targets)
    secrets = {target.name: reveal(target, os.environ) for target in read.targets}
    asyncio.run(serve(effective(bootstrap_servers=bootstrap_servers), read, secrets))


@deliver.command()
def check(file: Annotated[Path, typer.Argument(help="The target file.")] = DEFAULT) -> None:
    """Check a target file; exit code 1 with file, line and cure for everything that is wrong. Reads no secrets."""
    read = read_targets(file)
    say(f"{escape(str(file))}: {len(read.targets)} targets, {len(read.routes)} routes, ok")


@deliver.command("test")
def try_out(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The target's name.", metavar="TARGET")],
    targets: Annotated[Path | None, typer.Option("--targets", help=f"{HELP} [default: {DEFAULT}]")] = None,
) -> None:
    """Send an event that fires and one that resolves to a target, past all routes; say what it answered."""
    file: Path = targets or context.obj
    target = read_targets(file).named(name)
    if target is None:
        raise UserError(f"{file}: there is no target {name!r}")
    asyncio.run(_try_out(target))


async def _try_out(target: Target) -> None:
    from streams.delivery.sample import sample
    from streams.delivery.secrets import reveal
    from streams.delivery.senders import sender_of
    from streams.delivery.verdict import outcome_of

    sender = sender_of(target, reveal(target, os.environ))
    try:
        for message in sample(int(time.time() * 1000), version("stepwatch")):
            answer = await sender.send([message])
            if outcome_of(target.kind, answer) != "delivered":
                raise UserError(f"{target.name} did not take the test event: {answer}")
            say(f"{target.name}: {message.event.type} delivered")
    finally:
        await sender.close()


def read_targets(file: Path) -> Targets:
    """The targets of a file. Raises UserError with every problem found."""
    from schemas.targets import parse_targets

    try:
        return parse_targets(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error
    except ConfigError as error:
        raise UserError(str(error)) from error
