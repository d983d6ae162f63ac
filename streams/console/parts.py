"""`stepwatch gateway|scorer|alerter`: each part alone, against any Kafka and any ClickHouse."""

import asyncio
import logging
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from streams.console.errors import UserError
from streams.garbage import collect_rarely
from streams.local.state import effective_settings
from streams.log_lines import CHATTY, Sparingly
from streams.settings import Settings

Bootstrap = Annotated[str | None, typer.Option(help="Kafka bootstrap servers. (STEPWATCH_BOOTSTRAP_SERVERS)")]
Store = Annotated[str | None, typer.Option(help="ClickHouse HTTP URL. (STEPWATCH_CLICKHOUSE_URL)")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Parts")(gateway)
    app.command(rich_help_panel="Parts")(scorer)
    app.command(rich_help_panel="Parts")(alerter)


def effective(**flags: object) -> Settings:
    """Settings of the environment and the flags; what neither gives comes from the stack on the data folder, if one runs."""
    given = {name: value for name, value in flags.items() if value is not None}
    return effective_settings(Settings(**given))  # type: ignore[arg-type]


def gateway(
    bootstrap_servers: Bootstrap = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. (STEPWATCH_GATEWAY_HOST)")] = None,
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="OTLP/HTTP port. (STEPWATCH_GATEWAY_PORT)")
    ] = None,
) -> None:
    """Take OTLP/HTTP from SDKs and Collectors and put it on the spans topic.

    All other settings are STEPWATCH_* variables: see docs/operations.md.
    Success is answered only after Kafka's acknowledgement.
    Needs the topics: `stepwatch topics apply`. SIGTERM stops it cleanly.
    """
    from streams.gateway.app import serve

    log_to_stderr()
    settings = effective(bootstrap_servers=bootstrap_servers, gateway_host=host, gateway_port=port)
    asyncio.run(serve(settings))


def scorer(bootstrap_servers: Bootstrap = None, clickhouse_url: Store = None) -> None:
    """Assemble trajectories from the spans topic, judge them, write ClickHouse and the outcomes topic.

    All other settings are STEPWATCH_* variables: see docs/operations.md.
    Start as many as you have cores: they share the partitions.
    Needs `stepwatch topics apply` and `stepwatch schema migrate`.
    SIGTERM stops it cleanly; it may be killed at any moment.
    """
    from streams.worker.app import create_app

    _run(create_app, effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url))


def alerter(bootstrap_servers: Bootstrap = None, clickhouse_url: Store = None) -> None:
    """Fold the outcomes topic into alert events.

    All other settings are STEPWATCH_* variables: see docs/operations.md.
    Without ClickHouse alerts are published all the same; their history waits.
    Needs the topics: `stepwatch topics apply`. SIGTERM stops it cleanly.
    """
    from streams.alerter.app import create_app

    settings = effective(bootstrap_servers=bootstrap_servers, clickhouse_url=clickhouse_url)
    _run(create_app, settings, _check_history)


def _check_history(settings: Settings) -> None:
    """A store that refuses us is an error. One that does not answer is only told of: alerts are published without it."""
    from clickhouse_connect.driver.exceptions import Error as DriverError

    from streams.store.client import connect

    try:
        connect(settings).close()
    except UserError as error:
        if not isinstance(error.__cause__, DriverError) or error.__cause__.code is not None:
            raise
        sys.stderr.write(f"warning: {error}; until then alerts are published, and their history waits\n")


def _run(
    create_app: Callable[[Settings], Any], settings: Settings, check: Callable[[Settings], None] | None = None
) -> None:
    """Run a Faust app until SIGTERM or SIGINT. Topics are checked first: a CreateTime topic is refused here."""
    import faust
    import uvloop

    from streams.topics import check_topics

    if problems := asyncio.run(check_topics(settings)):
        raise UserError("; ".join(problems))
    if check is not None:
        check(settings)
    log_to_stderr()
    collect_rarely()
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)

    async def create() -> Any:  # Kafka clients belong to the loop that they are made on
        app, health = create_app(settings)
        await health.start()

        @app.on_before_shutdown.connect(weak=False)  # type: ignore[untyped-decorator]
        async def silence(_app: Any, **_: Any) -> None:
            await health.stop()

        return app

    app = loop.run_until_complete(create())
    worker = faust.Worker(app, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True)
    worker.execute_from_commandline()


def log_to_stderr() -> None:
    """One line a message on standard error; the chatter of libraries is cut to what a person can use."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    sparingly = Sparingly()
    for handler in logging.getLogger().handlers:
        handler.addFilter(sparingly)
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.ERROR)
