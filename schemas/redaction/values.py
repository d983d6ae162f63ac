"""Values of attributes masked, whatever their form: a text, JSON or a Python repr in a text, numbers, arrays, key-value lists.

The law: what nothing was found in stays as it is, to the byte; what is JSON stays JSON, and what is a repr stays one. What is
nested too deeply to be looked through is not kept.
"""

from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from schemas.cut import VALUE_BYTES_MAX, string_value
from schemas.dialects.unwrap import dumped
from schemas.otlp import plain_of, text_of
from schemas.pyrepr import NotARepr, read_repr
from schemas.redaction.patterns import WHOLE, Masker

DEPTH_MAX = 32
_STRUCTURED = frozenset({"{", "[", '"', "("})
_UNFINISHED_CHARS = 256  # of what a cut may have left of a secret


def masked(value: bytes, masker: Masker) -> bytes:
    """An AnyValue's bytes, masked. Raises InvalidOtlp on bytes that cannot be read."""
    if value[:1] == b"\n":
        text = text_of(value) or ""
        if len(value) >= VALUE_BYTES_MAX:
            text = _without_unfinished(text)
            value = string_value(text)
        found = masked_text(text, masker)
        return value if found == text else string_value(found)
    if value[:1] in (b"", b"\x10", b"!"):  # nothing, a bool, a double
        return value
    plain = plain_of(value)
    found = _walk(plain, masker, 0)
    return value if found == plain else any_value(found)


def masked_text(text: str, masker: Masker, depth: int = 0) -> str:
    """A text, masked: as the JSON or the repr that it is, else as it stands."""
    if "\\" not in text and not masker.finds(text):  # an escape may hide what is there
        return text
    if text.lstrip()[:1] in _STRUCTURED:
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _masked_repr(text, masker, depth)
        found = _walk(value, masker, depth)
        return text if found == value else dumped(found)
    return masker.plain(text)


def any_value(value: Any) -> bytes:
    """A plain value as AnyValue bytes. What OTLP has no form for becomes its text."""
    return bytes(_any(value).SerializeToString())


def _masked_repr(text: str, masker: Masker, depth: int) -> str:
    try:
        value = read_repr(text)
    except NotARepr:
        return masker.plain(text)
    found = _walk(value, masker, depth)
    said = text if found == value else repr(found)
    return masker.plain(said) if masker.finds(said) else said  # digits that belong to no one value


def _walk(value: Any, masker: Masker, depth: int) -> Any:
    if isinstance(value, str):
        return masked_text(value, masker, depth + 1) if depth < DEPTH_MAX else masker.plain(value)
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value) if -(10**40) < value < 10**40 else ""
        return masker.plain(text) if text and masker.finds(text) else value
    if not isinstance(value, dict | list | tuple):
        return value
    if depth >= DEPTH_MAX:
        return WHOLE
    if isinstance(value, dict):
        return {
            masker.plain(key) if isinstance(key, str) else key: _walk(inner, masker, depth + 1)
            for key, inner in value.items()
        }
    return [_walk(inner, masker, depth + 1) for inner in value]


def _without_unfinished(text: str) -> str:
    """A text that was cut at its bound, without its last word: half a secret fits no pattern."""
    kept = len(text)
    while kept > max(0, len(text) - _UNFINISHED_CHARS) and not text[kept - 1].isspace():
        kept -= 1
    return text[:kept]


def _any(value: Any) -> AnyValue:
    found = AnyValue()
    if value is None:
        return found
    if isinstance(value, bool):
        found.bool_value = value
    elif isinstance(value, int) and -(2**63) <= value < 2**63:
        found.int_value = value
    elif isinstance(value, float):
        found.double_value = value
    elif isinstance(value, list | tuple):
        found.array_value.values.extend(_any(inner) for inner in value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            found.kvlist_value.values.add(key=str(key), value=_any(inner))
    else:
        found.string_value = str(value)
    return found
