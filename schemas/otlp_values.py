"""JSON values as OTLP values: AnyValue, attributes, ids, times and enums, in every spelling that senders use.

No value is lost for being odd: what is not of its declared type is kept as text. Only what decides where a span
belongs, its ids and times, is refused when it cannot be read (`Unreadable`).
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

Json = Any  # None, bool, int, float, str, list or dict, as a JSON reader gives it
Message = Any  # a protobuf message or a repeated field of one

UINT64_MAX, UINT32_MAX, INT32_MAX = 2**64 - 1, 2**32 - 1, 2**31 - 1
# A protobuf reader stops at 100 nested messages, and a level of a map takes three: deeper values would be unreadable
# downstream. Below this depth a value is kept as its JSON text.
VALUE_DEPTH_MAX = 31
MAP_DEPTH_MAX = 64  # levels of a nested attribute map that become dots in the key


class Unreadable(ValueError):
    """What is wrong with one span: a reason of low cardinality and a sentence. It costs that span only."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def get(fields: Mapping[str, Json], *names: str) -> Json:
    """The first of these fields that is there and not null, in camelCase or snake_case; None without one."""
    for name in names:
        value = fields.get(name)
        if value is None:
            value = fields.get(_snake(name))
        if value is not None:
            return value
    return None


def elements(value: Json) -> list[Json]:
    """A repeated field: null is empty, one thing is a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: Json) -> str:
    """A string field; null is empty, anything else its JSON text. Lone surrogates become U+FFFD: protobuf has none."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return text(json_text(value))
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def identifier(value: Json, size: int, what: str) -> bytes:
    """An id of `size` bytes from hex, UUID, base64 or a list of byte values; b"" when absent or all zero.

    Raises Unreadable for any other length: a cut id would join the wrong spans.
    """
    if isinstance(value, Mapping):  # how a JavaScript Buffer prints
        value = value.get("data")
    if value in (None, "", []):
        return b""
    found = _from_text(value, size) if isinstance(value, str) else _from_list(value)
    if found is None or len(found) != size:
        reason = f"bad_{what.replace(' ', '_')}"
        raise Unreadable(reason, f"{what} must be {size} bytes ({2 * size} hex characters), not {_shown(value)}")
    return found if any(found) else b""


def nanos(value: Json, what: str) -> int:
    """Nanoseconds since the epoch, from a number or its decimal text; 0 when absent. Raises Unreadable."""
    if value in (None, ""):
        return 0
    found = _whole(value)
    if found is None or not 0 <= found <= UINT64_MAX:
        raise Unreadable("bad_time", f"{what} must be nanoseconds since the epoch, not {_shown(value)}")
    return found


def count(value: Json) -> int:
    """A 32-bit unsigned field; 0 when it cannot be read, the greatest when it is over."""
    return min(max(_whole(value) or 0, 0), UINT32_MAX)


def enum(value: Json, names: Mapping[str, int], prefix: str) -> int:
    """An enum by number, by name, or by name without its prefix; 0 (unspecified) for any other."""
    if isinstance(value, str) and not value.isdecimal():
        return names.get(value.upper().removeprefix(prefix), 0)
    found = _whole(value) or 0
    return found if 0 <= found <= INT32_MAX else 0


def fill_attributes(target: Message, given: Json) -> None:
    """Add attributes given as OTLP's list of key and value, as a flat map, or as nested maps (keys joined by dots)."""
    if isinstance(given, Mapping):
        pairs = _flat("", given, 1)
    else:
        pairs = ((text(get(kv, "key")), kv.get("value")) for kv in elements(given) if isinstance(kv, Mapping))
    for key, value in pairs:
        _fill(target.add(key=key), value, 1)


def fill_value(target: Message, value: Json) -> None:
    """Set an AnyValue. Null leaves it without a value, as OTLP spells it."""
    _set(target, value, 1)


def _flat(prefix: str, given: Mapping[str, Json], depth: int) -> Iterator[tuple[str, Json]]:
    for name, value in given.items():
        key = text(f"{prefix}{name}")
        if isinstance(value, Mapping) and not _is_any_value(value) and depth < MAP_DEPTH_MAX:
            yield from _flat(f"{key}.", value, depth + 1)
        else:
            yield key, value


def _is_any_value(value: Mapping[str, Json]) -> bool:
    return not value or (len(value) == 1 and next(iter(value)) in _READERS)


def _fill(key_value: Message, value: Json, depth: int) -> None:
    """Set a KeyValue's value. Null stays an AnyValue without a value, as OTLP spells it."""
    key_value.value.SetInParent()
    _set(key_value.value, value, depth)


def _set(target: Message, value: Json, depth: int) -> None:
    if isinstance(value, Mapping):
        name = next((name for name in value if name in _READERS), None)
        if name is not None:
            given = value[name]
            return None if given is None else _READERS[name](target, given, depth)
        return _set_plain(target, value, depth) if value and not _only_indices(value) else None
    return None if value is None else _set_plain(target, value, depth)


def _only_indices(value: Mapping[str, Json]) -> bool:
    """References into a profile's string table: not ours to resolve, hence null."""
    return all(name.lower().endswith("strindex") for name in value)


def _set_plain(target: Message, value: Json, depth: int) -> None:
    match value:
        case bool():
            target.bool_value = value
        case int():
            _set_int(target, value, depth)
        case float():
            target.double_value = value
        case list():
            _set_array(target, {"values": value}, depth)
        case Mapping():
            _set_map(target, {"values": [{"key": k, "value": v} for k, v in value.items()]}, depth)
        case _:
            target.string_value = text(value)


def _set_text(target: Message, value: Json, _depth: int) -> None:
    target.string_value = text(value)


def _set_bool(target: Message, value: Json, depth: int) -> None:
    known = {"true": True, "false": False}.get(str(value).lower())
    if known is None:
        return _set_text(target, value, depth)
    target.bool_value = known
    return None


def _set_int(target: Message, value: Json, depth: int) -> None:
    found = _whole(value)
    if found is None or not -(2**63) <= found < 2**63:
        return _set_text(target, value, depth)
    target.int_value = found
    return None


def _set_double(target: Message, value: Json, depth: int) -> None:
    try:
        target.double_value = float(value)
    except (TypeError, ValueError, OverflowError):
        _set_text(target, value, depth)


def _set_bytes(target: Message, value: Json, depth: int) -> None:
    found = _from_base64(value) if isinstance(value, str) else _from_list(value)
    if found is None:
        return _set_text(target, value, depth)
    target.bytes_value = found
    return None


def _set_array(target: Message, value: Json, depth: int) -> None:
    if depth >= VALUE_DEPTH_MAX:
        return _set_text(target, value, depth)
    target.array_value.SetInParent()
    for element in _values(value):
        _set(target.array_value.values.add(), element, depth + 1)
    return None


def _set_map(target: Message, value: Json, depth: int) -> None:
    if depth >= VALUE_DEPTH_MAX:
        return _set_text(target, value, depth)
    target.kvlist_value.SetInParent()
    for pair in _values(value):
        if isinstance(pair, Mapping):
            _fill(target.kvlist_value.values.add(key=text(pair.get("key"))), pair.get("value"), depth + 1)
    return None


def _values(value: Json) -> list[Json]:
    return elements(value.get("values")) if isinstance(value, Mapping) else elements(value)


_Reader = Callable[[Message, Json, int], None]
_READERS: dict[str, _Reader] = {
    "stringValue": _set_text,
    "boolValue": _set_bool,
    "intValue": _set_int,
    "doubleValue": _set_double,
    "arrayValue": _set_array,
    "kvlistValue": _set_map,
    "bytesValue": _set_bytes,
}
_READERS |= {name.replace("Value", "_value"): reader for name, reader in _READERS.items()}


def _whole(value: Json) -> int | None:
    try:
        if isinstance(value, str):
            return int(value) if value.strip().lstrip("+-").isdecimal() else _whole(float(value))
        return int(value) if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)) else None
    except ValueError:
        return None


def _from_text(value: str, size: int) -> bytes | None:
    digits = value.strip().replace("-", "")
    if len(digits) == 2 * size:
        try:
            return bytes.fromhex(digits)
        except ValueError:
            return None
    return _from_base64(value.strip())


def _from_base64(value: str) -> bytes | None:
    plain = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _from_list(value: Json) -> bytes | None:
    try:
        return bytes(value) if isinstance(value, list) else None
    except (TypeError, ValueError):
        return None


def json_text(value: Json) -> str:
    """The JSON text of a value; a sentence where it is nested too deeply to have one."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "(nested too deeply to be shown)"


def _shown(value: Json) -> str:
    shown = text(value if isinstance(value, str) else json_text(value))
    return f"{shown[:40]!r}" + (f"... ({len(shown)} characters)" if len(shown) > 40 else "")


@cache
def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
