"""How many frames (resources, and scopes in them) an export request has, counted without reading it.

A reader makes an object of each, and a frame may be two bytes small: 20 MB of them are ten million objects. An honest request has
few.
"""

_TO_SKIP = {1: 8, 5: 4}  # bytes of a fixed field, by its wire type
_RESOURCE_SPANS, _SCOPE_SPANS = 1, 2  # field numbers; of logs the same


def has_more_fields(record: bytes, fields_max: int) -> bool:
    """Whether the frames have more fields than that. What is no protobuf is for its reader to refuse."""
    left = fields_max
    spans: list[tuple[int, int, int]] = [(0, len(record), _RESOURCE_SPANS)]  # (from, to, which field holds frames)
    while spans:
        at, end, frames = spans.pop()
        while at < end:
            if left == 0:
                return True
            left -= 1
            tag, at = _varint(record, at, end)
            kind = tag & 7
            if kind == 2:
                size, at = _varint(record, at, end)
                if tag >> 3 == frames == _RESOURCE_SPANS:
                    spans.append((at, min(at + size, end), _SCOPE_SPANS))
                at += size
            elif kind == 0:
                _, at = _varint(record, at, end)
            elif kind in _TO_SKIP:
                at += _TO_SKIP[kind]
            else:
                return False
    return False


def _varint(record: bytes, at: int, end: int) -> tuple[int, int]:
    """A number and where it ends; the end where it does not."""
    value = shift = 0
    while at < end and shift < 70:
        byte = record[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, end
