"""The bounds of an attribute map, and the knife: values cut at 64 KiB, attributes at 256. Pure, but it changes the map."""

from typing import Any, Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from schemas.otlp import text_of

VALUE_BYTES_MAX: Final = 64 * 1024
ATTRIBUTES_MAX: Final = 256


def cut_values(attributes: Any) -> int:
    """Cut string values at the bound, leave out other values above it; how many were touched."""
    too_long = [key for key, value in attributes.items() if len(value) > VALUE_BYTES_MAX]
    for key in too_long:
        text = text_of(attributes[key]) if attributes[key][:1] == b"\n" else None
        if text is None:
            del attributes[key]
        else:
            attributes[key] = string_value(cut_text(text))
    return len(too_long)


def cut_count(attributes: Any) -> int:
    """Leave out what is over the number of attributes, by name; how many went."""
    excess = sorted(attributes)[ATTRIBUTES_MAX:] if len(attributes) > ATTRIBUTES_MAX else []
    for key in excess:
        del attributes[key]
    return len(excess)


def cut_text(text: str) -> str:
    """The text up to the bound, whole characters."""
    return text.encode()[:VALUE_BYTES_MAX].decode("utf-8", "ignore")


def string_value(text: str) -> bytes:
    """An AnyValue that is this text."""
    return bytes(AnyValue(string_value=text).SerializeToString())
