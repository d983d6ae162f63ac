"""`stepwatch config apply|check`: the registry and the rules, checked here, then put on the config log."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich import print as say

from schemas.config import ConfigError
from streams.console.errors import UserError
from streams.console.parts import effective

config = typer.Typer(no_args_is_help=True)
Files = Annotated[
    list[Path], typer.Argument(help="A registry (with `workflows:`), a rule file (with `rules:`), or both.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(config, name="config", help="The registry (workflows.yaml) and the rules (rules.yaml).")


@config.command()
def check(files: Files) -> None:
    """Check the files; exit code 1 with file, line and cure for everything that is wrong."""
    read(files)
    say(f"{', '.join(str(f) for f in files)}: ok")


@config.command()
def apply(files: Files) -> None:
    """Check the files and publish them: every worker takes them over at its next flush."""
    from streams.config_log import publish_config

    registry, rules = read(files)
    seq = asyncio.run(publish_config(effective(), registry, rules))
    say(f"applied as config {seq}")


def read(files: list[Path]) -> tuple[str | None, str | None]:
    """The registry text and the rules text of these files, both checked. Raises UserError with every problem found."""
    from schemas.registry import parse_registry
    from schemas.rules import parse_rules

    registry = rules = None
    problems = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: cannot be read: {error}") from error
        try:
            if _is_rules(text):
                parse_rules(text, str(file))
                rules = text
            else:
                parse_registry(text, str(file))
                registry = text
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))
    return registry, rules


def _is_rules(text: str) -> bool:
    """Whether a file declares rules: by its top-level key, so that each error is reported under the right schema."""
    return any(line.startswith(("rules:", '"rules"', '{"rules"')) for line in text.splitlines())
