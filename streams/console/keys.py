"""`stepwatch keys create|list|revoke|rotate|limit|certificate`: who may send to the gateway, and how much."""

import re
import secrets
from collections.abc import Callable
from dataclasses import replace
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
    KeyFile,
    KeyRecord,
    Limit,
    hashed,
    read_keys,
    spell,
    write_keys,
)
from streams.console.errors import UserError
from streams.console.parts import effective

keys = typer.Typer(no_args_is_help=True)
KeyFileOption = Annotated[Path | None, typer.Option("--file", help="The key file. (STEPWATCH_GATEWAY_KEYS_FILE)")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys, name="keys", help="Keys of the gateway: who may send, and as which tenant.")


@keys.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose spans the key brings.")],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    file: KeyFileOption = None,
) -> None:
    """Make a key and print it: it is not kept and cannot be shown again. A running gateway takes it within a second."""
    if not tenant.strip() or len(tenant) > TENANT_CHARS_MAX:
        raise UserError(f"a tenant has 1 to {TENANT_CHARS_MAX} characters")
    _add(_file(file), tenant, note)


@keys.command("list")
def list_(file: KeyFileOption = None) -> None:
    """The keys, without their secrets."""
    table = Table(box=None, pad_edge=False)
    for name in ("id", "tenant", "created", "revoked", "note"):
        table.add_column(name, overflow="fold")
    for record in _records(_file(file)):
        said = (record.id, record.tenant, record.created_at[:16], record.revoked_at[:16], record.note)
        table.add_row(*map(escape, said))
    Console(highlight=False).print(table if table.row_count else "no keys")


@keys.command()
def revoke(id_: KeyId, file: KeyFileOption = None) -> None:
    """End a key: a running gateway refuses it within a second."""
    where = _file(file)
    _change(where, id_, lambda record: record._replace(revoked_at=record.revoked_at or _now()))
    Console(highlight=False).print(f"{id_} is revoked")


@keys.command()
def rotate(id_: KeyId, file: KeyFileOption = None) -> None:
    """Make a second key of the same tenant beside this one: move the senders to it, then `keys revoke` the first."""
    where = _file(file)
    record = _find(_records(where), id_)
    _add(where, record.tenant, record.note)


@keys.command()
def limit(
    tenant: Annotated[str, typer.Argument(help="Whose limit.")],
    spans_per_s: Annotated[float, typer.Option(min=0, help="Spans and log records a second; 0: no limit.")] = 0,
    bytes_per_s: Annotated[float, typer.Option(min=0, help="Bytes a second, unpacked; 0: no limit.")] = 0,
    file: KeyFileOption = None,
) -> None:
    """How much a tenant may send, with all its keys together and through this gateway. Above it senders are told to come back.

    Ten seconds of the rate may be saved up. Without either option the limit is lifted.
    """
    where = _file(file)
    said = _said(where)
    said.limits.pop(tenant, None)
    if spans_per_s or bytes_per_s:
        said.limits[tenant] = Limit(spans_per_s, bytes_per_s)
    _write(where, said)
    rates = [f"{rate:g} {what} a second" for rate, what in ((spans_per_s, "spans"), (bytes_per_s, "bytes")) if rate]
    Console(highlight=False).print(f"{escape(tenant)}: {' and '.join(rates) or 'no limit'}")


@keys.command()
def certificate(
    name: Annotated[str, typer.Argument(help="A subject alternative name: URI:spiffe://..., DNS:host.")],
    tenant: Annotated[str | None, typer.Option(help="Whom it stands for. Without it the name is taken off.")] = None,
    file: KeyFileOption = None,
) -> None:
    """Let a client's certificate stand for a tenant, by a name in it, in the place of a key.

    For gateways that ask clients for certificates (STEPWATCH_GATEWAY_TLS_CLIENT_CA).
    """
    if not re.match(r"(URI|DNS):.", name):
        raise UserError(
            f"{name}: write the name with its kind, as URI:spiffe://example.org/agents or DNS:agents.example.org"
        )
    where = _file(file)
    said = _said(where)
    said.certificates.pop(name, None)
    if tenant:
        said.certificates[name] = tenant
    _write(where, said)
    Console(highlight=False).print(f"{escape(name)}: {escape(tenant or 'nobody')}")


def _add(file: Path, tenant: str, note: str) -> None:
    said = _said(file)
    records = said.keys
    id_ = secrets.token_hex(ID_BYTES)
    while any(record.id == id_ for record in records):
        id_ = secrets.token_hex(ID_BYTES)
    key = spell(id_, secrets.token_urlsafe(SECRET_BYTES))
    _write(file, replace(said, keys=[*records, KeyRecord(id_, hashed(key), tenant, _now(), "", note)]))
    typer.echo(key)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        f"[dim]key {id_} of tenant {escape(tenant)}, kept in {escape(str(file))} as a hash; senders set "
        "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20<key>[/]"
    )


def _change(file: Path, id_: str, change: Callable[[KeyRecord], KeyRecord]) -> None:
    said = _said(file)
    found = _find(said.keys, id_)
    _write(file, replace(said, keys=[change(record) if record is found else record for record in said.keys]))


def _find(records: list[KeyRecord], id_: str) -> KeyRecord:
    for record in records:
        if record.id == id_:
            return record
    raise UserError(f"there is no key {id_}: `stepwatch keys list` shows those there are")


def _records(file: Path) -> list[KeyRecord]:
    return _said(file).keys


def _said(file: Path) -> KeyFile:
    """What the file says; one that is not there yet says nothing."""
    if not file.exists():
        return KeyFile([])
    try:
        return read_keys(file.read_bytes(), str(file))
    except BadKeyFile as error:
        raise UserError(str(error)) from error


def _write(file: Path, said: KeyFile) -> None:
    """As a whole or not at all, for its owner alone: a gateway may read it at any moment."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as fresh:  # mode 0600
        fresh.write(write_keys(said))
    Path(fresh.name).replace(file)


def _file(given: Path | None) -> Path:
    file = given or effective().gateway_keys_file
    if file is None:
        raise UserError("say where the keys are kept: --file, or STEPWATCH_GATEWAY_KEYS_FILE")
    return file


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
