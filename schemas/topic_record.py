"""A record of the spans topic as raw spans, in either encoding: the gateway's and the Collector's protobuf, or OTLP JSON."""

from typing import NamedTuple

from schemas.otlp import split
from schemas.otlp_json import spans_of_json
from schemas.span import RawSpan


class Refused(NamedTuple):
    """A part of a record that is not a span, with the sentence that says why."""

    reason: str
    value: bytes


def split_record(value: bytes) -> tuple[list[RawSpan], list[Refused]]:
    """Raw spans of a record, and what in it was none. Raises InvalidOtlp when nothing of it can be read."""
    if value[:64].lstrip()[:1] == b"{":
        spans, refusals = spans_of_json(value)
        return spans, [Refused(f"{r.reason}: {r.detail}", value) for r in refusals]
    return split(value), []
