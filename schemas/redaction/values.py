"""Values of attributes masked, whatever their form: a text, JSON or a Python repr in a text, numbers, arrays, key-value lists.

The law: what nothing was found in stays as it is, to the byte; what is JSON stays JSON, and what is a repr stays one. What is
nested too deeply to be looked through is not kept, nor is what stands under a key that stands there twice: who reads it sees the
last.
"""

import re
from typing import Any

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from schemas.cut import VALUE_BYTES_MAX, string_value
from schemas.dialects.unwrap import dumped
from schemas.otlp import InvalidOtlp, text_of
from schemas.pyrepr import NotARepr, read_repr
from schemas.redaction.patterns import WHOLE, Masker

DEPTH_MAX = 32
_STRUCTURED = frozenset({"{", "[", '"', "("})
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_UNFINISHED_CHARS = 256  # of what a cut may have left of a secret


def masked(value: bytes, masker: Masker, key: str = "") -> bytes:
    """An AnyValue's bytes, masked; its key may say what it is. Raises InvalidOtlp on bytes that cannot be read."""
    if value[:1] == b"\n":
        text = text_of(value) or ""
        if len(value) >= VALUE_BYTES_MAX:
            text = _without_unfinished(text)
            value = string_value(text)
        found = masked_text(masker.named(key, text), masker)
        return value if found == text else string_value(found)
    if value[:1] in (b"", b"\x10"):  # nothing, a bool
        return value
    plain, is_plain = _read(value)
    found = _walk(plain, masker, 0, key)
    return value if is_plain and found == plain else any_value(found)


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
        stays = found == value and (_says_all(text, value) or not masker.finds(text))
        return text if stays else dumped(found)
    return masker.plain(text)


def _says_all(text: str, value: Any) -> bool:
    """Whether a JSON text has no more strings than its value: under a key that stands twice lies what no reader sees."""
    return len(_STRING.findall(text)) == _strings(value)


def _strings(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_strings, value.values()))
    return sum(map(_strings, value)) if isinstance(value, list) else isinstance(value, str)


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


def _walk(value: Any, masker: Masker, depth: int, key: str = "") -> Any:
    if isinstance(value, str):
        value = masker.named(key, value)
        return masked_text(value, masker, depth + 1) if depth < DEPTH_MAX else masker.plain(value)
    if isinstance(value, bytes):
        text = value.decode("utf-8", "replace")
        found = _walk(text, masker, depth, key)
        return value if found == text else found
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _masked_number(value, masker, key)
    if not isinstance(value, dict | list | tuple):
        return value
    if depth >= DEPTH_MAX:
        return WHOLE
    if isinstance(value, dict):
        return {
            masker.plain(name) if isinstance(name, str) else name: _walk(inner, masker, depth + 1, str(name))
            for name, inner in value.items()
        }
    return [_walk(inner, masker, depth + 1, key) for inner in value]


def _masked_number(value: float, masker: Masker, key: str) -> Any:
    """A number, or its token: as a float a card has the same digits, and nothing behind them."""
    if not -(10**40) < value < 10**40 or value != int(value):
        return value
    text = str(int(value))
    found = masker.plain(masker.named(key, text))
    return value if found == text else found


def _without_unfinished(text: str) -> str:
    """A text that was cut at its bound, without its last word: half a secret fits no pattern."""
    kept = len(text)
    while kept > max(0, len(text) - _UNFINISHED_CHARS) and not text[kept - 1].isspace():
        kept -= 1
    return text[:kept]


def _read(value: bytes) -> tuple[Any, bool]:
    """An AnyValue that is no string as plain Python, and whether nothing is lost by that (no key stands twice). Raises
    InvalidOtlp."""
    try:
        return _plain(AnyValue.FromString(value))
    except (DecodeError, RecursionError) as error:
        raise InvalidOtlp(f"attribute value cannot be read: {error}") from error


def _plain(value: AnyValue) -> tuple[Any, bool]:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        read = [_plain(inner) for inner in value.array_value.values]
        return [inner for inner, _ in read], all(is_plain for _, is_plain in read)
    if kind == "kvlist_value":
        pairs = [(pair.key, *_plain(pair.value)) for pair in value.kvlist_value.values]
        told = {key: inner for key, inner, _ in pairs}
        return told, len(told) == len(pairs) and all(is_plain for *_, is_plain in pairs)
    return (None if kind is None else getattr(value, kind)), True


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
    elif isinstance(value, bytes):
        found.bytes_value = value
    elif isinstance(value, list | tuple):
        found.array_value.values.extend(_any(inner) for inner in value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            found.kvlist_value.values.add(key=str(key), value=_any(inner))
    else:
        found.string_value = str(value)
    return found
