"""A record of the spans topic as raw spans, in either encoding: the gateway's and the Collector's protobuf, or OTLP JSON."""

import re
from typing import NamedTuple

from schemas.otlp import split
from schemas.otlp_json import spans_of_json
from schemas.span import RawSpan

_HEAD = 256  # longer than any frame whose length byte can pass for a brace
_NEVER_IN_JSON = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")


class Refused(NamedTuple):
    """A part of a record that is not a span (its own bytes, not its neighbours'), with the sentence that says why."""

    reason: str
    value: bytes


def split_record(value: bytes) -> tuple[list[RawSpan], list[Refused]]:
    """Raw spans of a record, and what in it was none. Raises InvalidOtlp when nothing of it can be read."""
    if is_json(value):
        spans, refusals = spans_of_json(value)
        return spans, [Refused(f"{r.reason}: {r.detail}", r.value) for r in refusals]
    return split(value), []


def is_json(value: bytes) -> bool:
    """Whether a document (or its first bytes) is JSON and not protobuf.

    The first byte that is no space does not tell: protobuf begins with 0x0A, a line feed, and a first frame of 123 bytes goes
    on with a brace. But protobuf has control characters near its beginning, and JSON has none.
    """
    if value[:1] in (b"{", b"["):
        return True
    head = value[:_HEAD]
    return head.lstrip()[:1] in (b"{", b"[") and not _NEVER_IN_JSON.search(head)
