"""`stepwatch keys create|list|revoke|rotate`: who may send to the gateway."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.api_key import (
    ID_BYTES,
    SECRET_BYTES,
    TENANT_CHARS_MAX,
    BadKeyFile,
    KeyRecord,
    hashed,
    read_keys,
    spell,
    write_keys,
)
from streams.console.errors import UserError
from streams.console.parts import effective

keys = typer.Typer(no_args_is_help=True)
KeyFile = Annotated[Path | None, typer.Option("--file", help="The key file. (STEPWATCH_GATEWAY_KEYS_FILE)")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys", help="Keys of the gateway: who may send, and as which tenant.")


@keys.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose spans the key brings.")],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    file: KeyFile = None,
) -> None:
    """Make a key and print it: it is not kept and cannot be shown again. A running gateway takes it within a second."""
    if not tenant.strip() or len(tenant) > TENANT_CHARS_MAX:
        raise UserError(f"a tenant has 1 to {TENANT_CHARS_MAX} characters")
    _add(_file(file), tenant, note)


@keys.command("list")
def list_(file: KeyFile = None) -> None:
    """The keys, without their secrets."""
    table = Table(box=None, pad_edge=False)
    for name in ("id", "tenant", "created", "revoked", "note"):
        table.add_column(name, overflow="fold")
    for record in _records(_file(file)):
        said = (record.id, record.tenant, record.created_at[:16], record.revoked_at[:16], record.note)
        table.add_row(*map(escape, said))
    Console(highlight=False).print(table if table.row_count else "no keys")


@keys.command()
def revoke(id_: KeyId, file: KeyFile = None) -> None:
    """End a key: a running gateway refuses it within a second."""
    where = _file(file)
    _change(where, id_, lambda record: record._replace(revoked_at=record.revoked_at or _now()))
    Console(highlight=False).print(f"{id_} is revoked")


@keys.command()
def rotate(id_: KeyId, file: KeyFile = None) -> None:
    """Make a second key of the same tenant beside this one: move the senders to it, then `keys revoke` the first."""
    where = _file(file)
    record = _find(_records(where), id_)
    _add(where, record.tenant, record.note)


def _add(file: Path, tenant: str, note: str) -> None:
    records = _records(file) if file.exists() else []
    id_ = secrets.token_hex(ID_BYTES)
    while any(record.id == id_ for record in records):
        id_ = secrets.token_hex(ID_BYTES)
    key = spell(id_, secrets.token_urlsafe(SECRET_BYTES))
    _write(file, [*records, KeyRecord(id_, hashed(key), tenant, _now(), "", note)])
    typer.echo(key)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[dim]key {id_} of tenant {escape(tenant)}, kept in {escape(str(file))} as a hash; senders set "
        "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<key>[/]"
    )


def _change(file: Path, id_: str, change: Callable[[KeyRecord], KeyRecord]) -> None:
    records = _records(file)
    found = _find(records, id_)
    _write(file, [change(record) if record is found else record for record in records])


def _find(records: list[KeyRecord], id_: str) -> KeyRecord:
    for record in records:
        if record.id == id_:
            return record
    raise UserError(f"there is no key {id_}: `stepwatch keys list` shows those there are")


def _records(file: Path) -> list[KeyRecord]:
    try:
        return read_keys(file.read_bytes(), str(file))
    except BadKeyFile as error:
        raise UserError(str(error)) from error


def _write(file: Path, records: list[KeyRecord]) -> None:
    """As a whole or not at all, for its owner alone: a gateway may read it at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as fresh:  # mode 0600
        fresh.write(write_keys(records))
    Path(fresh.name).replace(file)


def _file(given: Path | None) -> Path:
    file = given or effective().gateway_keys_file
    if file is None:
        raise UserError("say where the keys are kept: --file, or STEPWATCH_GATEWAY_KEYS_FILE")
    return file


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
