"""The `stepwatch` command: one Typer application, its commands listed here and written one file each.

Command modules are imported only when the command line is built; importing them does nothing but define.
"""

import sys

import typer

from streams.console.errors import UserError, complain

INTERRUPTED_EXIT = 130


def build() -> typer.Typer:
    """The whole command tree, in the order of `--help`."""
    from streams.console import alerts, config, deliver, demo, parts, score, send, sql, stack, topics

    app = typer.Typer(
        name="stepwatch",
        help="Streaming evaluation of LLM-agent trajectories: OpenTelemetry spans in, verdicts and alert events out.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for module in (demo, stack, parts, send, score, config, topics, sql, alerts, deliver):
        module.register(app)
    return app


def main() -> None:
    """Entry point of the console script. A `UserError` becomes one sentence and exit code 1 (or its own); Ctrl-C is 130."""
    try:
        build()()
    except UserError as error:
        sys.exit(complain(error))
    except KeyboardInterrupt:  # while modules are still being imported; later the commands see to it themselves
        sys.exit(INTERRUPTED_EXIT)
