"""`stepwatch topics apply|check`."""

import asyncio

import typer
from rich import print as say

from streams.console.errors import UserError
from streams.console.parts import effective

topics = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(topics, name="topics", help="The Kafka topics: make what is missing, check what is there.")


@topics.command()
def apply() -> None:
    """Make the topics that are missing; existing ones are left as they are."""
    from streams.topics import ensure_topics

    made = asyncio.run(ensure_topics(effective()))
    say(f"made {', '.join(made)}" if made else "all topics are there")


@topics.command()
def check() -> None:
    """Check the topics; exit code 1 and a sentence for each that is wrong."""
    from streams.topics import check_topics

    if problems := asyncio.run(check_topics(effective())):
        raise UserError("; ".join(problems))
    say("all topics are as they must be")
