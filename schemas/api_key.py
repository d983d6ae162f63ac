"""Keys that senders show the gateway: `swk_<id>_<secret>`, 256 random bits; only the hash of the whole is kept. Pure.

A key is of one tenant and may only bring spans. Rotation is two live keys: make the second, move the senders, revoke the first.
The file also says which client certificates stand for a tenant, by a name in them, and how much a tenant may send.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

PREFIX = "swk"
SECRET_BYTES = 32
ID_BYTES = 4
TENANT_CHARS_MAX = 100
KEYS_MAX = 10_000


class KeyRecord(NamedTuple):
    """One key as the file has it."""

    id: str  # 8 hex digits: names the key to people, and finds it
    sha256: str  # hex, of the whole key
    tenant: str
    created_at: str
    revoked_at: str = ""  # "": it lives
    note: str = ""


class Limit(NamedTuple):
    """What a tenant may send a second, on the whole; 0: as much as it likes."""

    spans_per_s: float = 0.0
    bytes_per_s: float = 0.0


NO_LIMIT = Limit()


@dataclass(frozen=True)
class KeyFile:
    """A key file."""

    keys: list[KeyRecord]
    limits: dict[str, Limit] = field(default_factory=dict)  # by tenant
    certificates: dict[str, str] = field(
        default_factory=dict
    )  # tenant by a subject alternative name, as `URI:spiffe://...` or `DNS:...`


class BadKeyFile(ValueError):
    """A key file that cannot be used; the sentence says why."""


def spell(id_: str, secret: str) -> str:
    """The key that a sender is given."""
    return f"{PREFIX}_{id_}_{secret}"


def hashed(key: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class Keys:
    """The live keys of one file, by id."""

    def __init__(self, records: Iterable[KeyRecord] = ()) -> None:
        self._live = {record.id: record for record in records if not record.revoked_at}

    def __len__(self) -> int:
        return len(self._live)

    @property
    def tenants(self) -> set[str]:
        """Whose they are."""
        return {record.tenant for record in self._live.values()}

    def tenant_of(self, authorization: str | None) -> str | None:
        """The tenant of `Bearer <key>`; None for anything else. Takes as long for a wrong secret as for a right one."""
        scheme, _, key = (authorization or "").strip().partition(" ")
        parts = key.strip().split("_", 2)
        if scheme.lower() != "bearer" or len(parts) != 3 or parts[0] != PREFIX:
            return None
        record = self._live.get(parts[1])
        kept = record.sha256 if record is not None else hashed("")
        return record.tenant if hmac.compare_digest(kept, hashed(key.strip())) and record is not None else None


def read_keys(text: bytes, source: str) -> KeyFile:
    """What a key file says, keys in their order. Raises BadKeyFile."""
    try:
        document: Any = orjson.loads(text)
        records = [_record(fields) for fields in document["keys"]]
        limits = {tenant: _limit(fields) for tenant, fields in document.get("limits", {}).items()}
        certificates = {name: _tenant(tenant) for name, tenant in document.get("certificates", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadKeyFile(f"{source} is no key file ({error}): make one with `stepwatch keys create`") from error
    if len(records) > KEYS_MAX:
        raise BadKeyFile(f"{source} has {len(records)} keys, more than {KEYS_MAX}")
    twice = [id_ for id_, n in Counter(record.id for record in records).items() if n > 1]
    if twice:
        raise BadKeyFile(f"{source} has key {min(twice)} twice")
    return KeyFile(records, limits, certificates)


def _limit(fields: Mapping[str, Any]) -> Limit:
    limit = Limit(*(float(fields.get(name, 0)) for name in Limit._fields))
    if not all(0 <= rate < float("inf") for rate in limit):
        raise ValueError(f"a limit is {min(limit):g}")
    return limit


def _tenant(said: Any) -> str:
    if not isinstance(said, str) or not said:
        raise ValueError(f"the tenant of a certificate is {said!r}")
    return said


def _record(fields: Mapping[str, Any]) -> KeyRecord:
    known = {name: fields[name] for name in KeyRecord._fields if name in fields}
    record = KeyRecord(**known)
    if not all(isinstance(value, str) for value in record) or len(record.sha256) != 64 or not record.tenant:
        raise ValueError(f"key {fields.get('id')!r} lacks an id, a hash or a tenant")
    return record


def write_keys(file: KeyFile) -> bytes:
    """The text of a file; its parts that are empty are left out."""
    parts = {
        "keys": [record._asdict() for record in file.keys],
        "limits": {tenant: limit._asdict() for tenant, limit in file.limits.items()},
        "certificates": file.certificates,
    }
    told = {name: part for name, part in parts.items() if part or name == "keys"}
    return orjson.dumps(told, option=orjson.OPT_INDENT_2) + b"\n"
