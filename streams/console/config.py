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
    """The registry text and the rules text of these files, checked. Raises UserError with every problem found.

    The registry text needs no other file. Rules are held against the registry given with them.
    """
    from schemas.cross_check import check_rules
    from schemas.registry import EMPTY, parse_registry
    from streams.registry_file import read_text, text_of

    registry, problems = None, []
    rules: list[tuple[Path, str]] = []
    given: dict[str, Path] = {}
    for file in files:
        text = read_text(file)
        what = "rules" if _is_rules(text) else "registry"
        if (other := given.setdefault(what, file)) != file:
            raise UserError(
                f"{file}: a second {what} file, beside {other}; a config has one registry and one rule file"
            )
        try:
            if what == "rules":
                rules.append((file, text))
            else:
                registry = text_of(file)
        except ConfigError as error:
            problems.append(str(error))
    known = parse_registry(registry, "workflows.yaml") if registry is not None else EMPTY
    for file, text in rules:
        try:
            problems += [str(problem) for problem in check_rules(text, str(file), known)]
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))
    return registry, rules[0][1] if rules else None


def _is_rules(text: str) -> bool:
    """Whether a file declares rules: by its top-level key, so that each error is reported under the right schema."""
    from schemas.config import read_yaml

    try:
        data, _ = read_yaml(text, "")
    except ConfigError:
        return any(line.lstrip(" {").startswith(("rules:", '"rules"')) for line in text.splitlines())
    return isinstance(data, dict) and "rules" in data and "workflows" not in data
