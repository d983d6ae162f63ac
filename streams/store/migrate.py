"""Numbered migrations: the SQL of infra/clickhouse, applied once each, in order.

The law: every statement can be run again, so a migration that was interrupted, or is run by two processes at once, ends
in the same schema; and a file that was applied never changes, which its checksum shows.
"""

import hashlib
import re
from pathlib import Path
from typing import Literal, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from streams.console.errors import UserError
from streams.settings import Settings
from streams.store.client import UNKNOWN_DATABASE, connect, parse_url, quote
from streams.store.errors import sentence_of

FOLDER = Path(__file__).parents[2] / "infra" / "clickhouse"
APPLIED = """
CREATE TABLE IF NOT EXISTS schema_migrations
(name String, checksum String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3))
ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""

State = Literal["applied", "pending", "changed"]


class Migration(NamedTuple):
    """One numbered file."""

    name: str  # "0001_spans"
    text: str

    @property
    def checksum(self) -> str:
        """Of the file's text; comments count, because they are part of what was agreed."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Status(NamedTuple):
    """Where one migration stands in one database."""

    name: str
    state: State


def migrate(settings: Settings, folder: Path = FOLDER) -> list[str]:
    """Create the database if need be and apply what is pending; the names applied. Safe to run twice, also at once.

    Raises UserError when the store cannot be reached, when an applied file was changed, and when a statement fails.
    """
    create_database(settings)
    client = connect(settings)
    try:
        client.command(APPLIED)
        return [_apply(client, migration) for migration in _pending(client, folder)]
    except DriverError as error:
        raise UserError(f"the schema cannot be read or written: {sentence_of(error)}") from error
    finally:
        client.close()


def status(client: Client, folder: Path = FOLDER) -> list[Status]:
    """All migrations, in order, and whether they are applied in the client's database."""
    checksums = applied(client)
    return [Status(m.name, _state(m, checksums)) for m in migrations(folder)]


def create_database(settings: Settings) -> None:
    """Make sure that the database is there. A user who may not create one may still use one that exists."""
    try:
        connect(settings).close()
    except UserError as error:
        if getattr(error.__cause__, "code", None) != UNKNOWN_DATABASE:
            raise
        parse_url(settings.clickhouse_url)
        client = connect(settings, database="default")
        client.command(f"CREATE DATABASE IF NOT EXISTS {quote(settings.clickhouse_database)}")
        client.close()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The numbered files, in order."""
    return [Migration(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("[0-9]*.sql"))]


def statements(text: str, engine_prefix: str = "") -> list[str]:
    """The statements of a file. A `;` at the end of a line ends one; `--` lines are left out.

    `engine_prefix` is "" on one server, "Replicated" on a cluster.
    """
    bare = re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE).replace("{engine_prefix}", engine_prefix)
    return [s.strip() for s in re.split(r";\s*$", bare, flags=re.MULTILINE) if s.strip()]


def applied(client: Client) -> dict[str, str]:
    """Checksum by name of what was applied; empty in a database that was never migrated."""
    if not client.command("EXISTS TABLE schema_migrations"):
        return {}
    return {row[0]: row[1] for row in client.query("SELECT name, checksum FROM schema_migrations FINAL").result_rows}


def _pending(client: Client, folder: Path) -> list[Migration]:
    checksums = applied(client)
    found = migrations(folder)
    for migration in found:
        if _state(migration, checksums) == "changed":
            raise UserError(
                f"migration {migration.name} was changed after it was applied: "
                "restore the file, and put the change into a new one with the next number"
            )
    return [migration for migration in found if _state(migration, checksums) == "pending"]


def _state(migration: Migration, checksums: dict[str, str]) -> State:
    known = checksums.get(migration.name)
    return "pending" if known is None else "applied" if known == migration.checksum else "changed"


def _apply(client: Client, migration: Migration) -> str:
    for statement in statements(migration.text):
        try:
            client.command(statement)
        except DriverError as error:
            raise UserError(f"migration {migration.name} fails: {sentence_of(error)}") from error
    client.insert("schema_migrations", [(migration.name, migration.checksum)], column_names=["name", "checksum"])
    return migration.name
