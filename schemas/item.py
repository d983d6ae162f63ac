"""What a trace is made of: spans, and log records that hold content of a span. Each is one item, by span id and content.

`items_of` is the one reading of a record, streaming and offline: all that it holds is an item, refused with a sentence, or a log
record that tells nothing of a span. Pure.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.decode import decode
from schemas.decode_log import decode_log
from schemas.dropping import OWN_SERVICES, DropRule, is_dropped
from schemas.log_record import LogRecord
from schemas.naming import NOTHING, Watched
from schemas.otlp import InvalidOtlp, pack
from schemas.redaction.redactor import Redactor
from schemas.signal import LOGS, TRACES
from schemas.span import RawSpan, Span
from schemas.topic_record import Refused, split_parts

Item = Span | LogRecord
ITEM_BYTES: Final = 1_200  # what an item takes in memory beside its content


class Taken(NamedTuple):
    """One record, read: its items with their bytes as they are to be stored, what was refused, what says nothing, and how many
    spans a rule dropped."""

    items: list[tuple[Item, RawSpan]]
    refused: list[Refused]
    ignored: int = 0  # log records without content of a span, and those that a rule dropped
    sampled_out: int = 0


def signal_of_item(item: Item) -> str:
    """Which signal an item came by."""
    return LOGS if isinstance(item, LogRecord) else TRACES


def bytes_of(item: Item) -> int:
    """About how many bytes an item takes in memory. A function of the item alone, so that a bound is the same everywhere."""
    return (
        ITEM_BYTES
        + len(item.arguments or "")
        + len(item.result or "")
        + len(item.input_messages or "")
        + len(item.output_messages or "")
        + len(item.tool_definitions or "")
    )


def began_ns(item: Item) -> int:
    """When it began, by its producer's clock; 0 when that does not say."""
    return item.time_ns if isinstance(item, LogRecord) else item.start_ns


def items_of(
    value: bytes,
    tenant: str,
    received_ms: int,
    signal: str = TRACES,
    watched: Watched = NOTHING,
    drops: Sequence[DropRule] = (),
    redactor: Redactor | None = None,
) -> Taken:
    """All that a record holds; one that cannot be split is one refusal, of its whole bytes. `watched` are the keys that naming
    rules look at; what one of `drops` holds for is not decoded, and telemetry of our own is dropped too. What is refused is not
    redacted."""
    try:
        parts = split_parts(value, signal)
    except InvalidOtlp as error:
        return Taken([], [Refused(str(error), value, LOGS if signal == LOGS else TRACES)])
    items: list[tuple[Item, RawSpan]] = []
    refused, ignored, sampled_out = parts.refused, 0, 0
    for raw in parts.spans:
        if drops and is_dropped(drops, tenant, raw.resource):
            sampled_out += 1
            continue
        try:
            decoded_span = decode(raw, tenant, received_ms, None, 0, watched, redactor)
        except InvalidOtlp as error:
            refused.append(Refused(str(error), pack([raw])))
            continue
        if decoded_span[0].service in OWN_SERVICES:
            sampled_out += 1
        else:
            items.append(decoded_span)
    for raw in parts.logs:
        if drops and is_dropped(drops, tenant, raw.resource):
            ignored += 1
            continue
        try:
            decoded = decode_log(raw, tenant, received_ms, redactor=redactor)
        except InvalidOtlp as error:
            refused.append(Refused(str(error), pack([raw]), LOGS))
            continue
        if decoded is None:
            ignored += 1
        else:
            items.append(decoded)
    return Taken(items, refused, ignored, sampled_out)


def decode_stored(
    signal: str, raw: RawSpan, tenant: str, received_ms: int, content_hash: int, flags: int, watched: Watched
) -> Item:
    """An item as the store has it. Raises InvalidOtlp where the store holds what never was one."""
    if signal != LOGS:
        return decode(raw, tenant, received_ms, content_hash, flags, watched)[0]
    decoded = decode_log(raw, tenant, received_ms, content_hash, flags)
    assert decoded is not None, "a stored log record stays one"
    return decoded[0]
