"""Where a trace lives: the partition of its spans, computed as a stock Collector's Kafka exporter does.

All spans of a trace must meet in one partition, whoever wrote them. The key is the trace id as 32 lower-case hex
characters; the Collector places it with Sarama's FNV-1a hasher, the Java client (and a Collector told so) with murmur2.
Both functions are fixed for life: another answer scatters every open trace.
"""

from typing import Literal

Partitioner = Literal["sarama", "murmur2"]

_MASK = 0xFFFFFFFF
_FNV_OFFSET, _FNV_PRIME = 0x811C9DC5, 0x01000193
_MURMUR_SEED, _MURMUR_M = 0x9747B28C, 0x5BD1E995


def partition_of_trace(trace_id: bytes, partitions: int, hasher: Partitioner) -> int:
    """The partition (0 to `partitions` - 1) of a trace, from its 16 raw bytes."""
    key = trace_id.hex().encode()
    return sarama(key, partitions) if hasher == "sarama" else murmur2(key, partitions)


def sarama(key: bytes, partitions: int) -> int:
    """Sarama's hash partitioner: |int32(fnv1a32(key)) % partitions|, the remainder truncated towards zero.

    Truncation makes the remainder of a negative number the negated remainder of its magnitude.
    """
    value = fnv1a32(key)
    return (value if value < 1 << 31 else (1 << 32) - value) % partitions


def murmur2(key: bytes, partitions: int) -> int:
    """The Java client's default partitioner: murmur2 with the sign bit cleared, modulo `partitions`."""
    return (murmur2_32(key) & 0x7FFFFFFF) % partitions


def fnv1a32(key: bytes) -> int:
    """FNV-1a, 32 bits, unsigned."""
    value = _FNV_OFFSET
    for byte in key:
        value = ((value ^ byte) * _FNV_PRIME) & _MASK
    return value


def murmur2_32(key: bytes) -> int:
    """Kafka's murmur2, 32 bits, unsigned."""
    whole = len(key) & ~3
    value = _MURMUR_SEED ^ len(key)
    for at in range(0, whole, 4):
        word = (int.from_bytes(key[at : at + 4], "little") * _MURMUR_M) & _MASK
        value = ((value * _MURMUR_M) & _MASK) ^ (((word ^ (word >> 24)) * _MURMUR_M) & _MASK)
    if whole < len(key):
        value = ((value ^ int.from_bytes(key[whole:], "little")) * _MURMUR_M) & _MASK
    value = ((value ^ (value >> 13)) * _MURMUR_M) & _MASK
    return value ^ (value >> 15)
