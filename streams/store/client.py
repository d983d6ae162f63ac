"""Connecting to ClickHouse: the embedded server, a single one or a cluster, over HTTP; only the URL differs.

A client has no session, so several threads may use it. The law: whatever keeps us from connecting becomes one sentence
that says what to do.
"""

import logging
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from streams.console.errors import UserError
from streams.settings import Settings
from streams.store.errors import sentence_of

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120  # a hung server must not hold a flush for ever; the flush is tried again
PORTS = {"http": 8123, "https": 8443}
UNKNOWN_DATABASE, WRONG_PASSWORD, REQUIRED_PASSWORD, UNKNOWN_USER = 81, 193, 194, 192
AUTHENTICATION_FAILED = 516


def connect(settings: Settings, database: str | None = None) -> Client:
    """A client of the project's database, or of `database`. Raises UserError when it cannot be reached or entered."""
    url = parse_url(settings.clickhouse_url)
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what it would say, the exception says
    try:
        return clickhouse_connect.get_client(**options(settings, url, database or settings.clickhouse_database))
    except DriverError as error:
        raise UserError(explain(error, settings)) from error


def parse_url(text: str) -> SplitResult:
    """The URL in parts. Raises UserError when it is not one."""
    try:
        url = urlsplit(text)
        if url.scheme in PORTS and url.hostname and url.port != 0:
            return url
    except ValueError:
        pass
    raise UserError(f"the ClickHouse URL {text!r} is not of the form http[s]://host[:port][/path]")


def options(settings: Settings, url: SplitResult, database: str) -> dict[str, Any]:
    """What the driver's `get_client` takes. A user and password in the URL go before those of the settings."""
    secret = settings.clickhouse_password
    return {
        "interface": url.scheme,
        "host": url.hostname,
        "port": url.port or PORTS[url.scheme],
        "username": unquote(url.username) if url.username else settings.clickhouse_user,
        "password": unquote(url.password) if url.password else secret.get_secret_value() if secret else "",
        "database": database,
        "proxy_path": url.path.rstrip("/"),
        "compress": not is_loopback(url.hostname or ""),  # between processes of one machine it only costs
        "autogenerate_session_id": False,
        "dedicated_pool": True,  # close() then closes its connections; a server that stops waits 5 s for idle ones
        "form_encode_query_params": True,  # parameters in the body: a URL is too short for long ones
        "connect_timeout": CONNECT_TIMEOUT_S,
        "send_receive_timeout": ANSWER_TIMEOUT_S,
        "client_name": "stepwatch",
    }


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def explain(error: DriverError, settings: Settings) -> str:
    """One sentence for a connection that failed."""
    where = _without_password(settings.clickhouse_url)
    if error.code in (AUTHENTICATION_FAILED, WRONG_PASSWORD, REQUIRED_PASSWORD, UNKNOWN_USER):
        return (
            f"ClickHouse at {where} refuses user {settings.clickhouse_user!r}: "
            "set STEPWATCH_CLICKHOUSE_USER and STEPWATCH_CLICKHOUSE_PASSWORD"
        )
    if error.code == UNKNOWN_DATABASE:
        return (
            f"ClickHouse at {where} has no database {settings.clickhouse_database!r}: "
            "create it with `stepwatch schema migrate`"
        )
    if error.code is not None:
        return f"ClickHouse at {where} refuses to connect: {sentence_of(error)}"
    return f"no ClickHouse answers at {where}: start it (`stepwatch up`) or set STEPWATCH_CLICKHOUSE_URL"


def _without_password(text: str) -> str:
    url = urlsplit(text)
    return url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()


def quote(identifier: str) -> str:
    """An identifier as SQL."""
    return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"
