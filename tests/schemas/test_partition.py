"""Where traces live: golden vectors, because another answer scatters every open trace."""

import pytest
from aiokafka.partitioner import murmur2 as murmur2_of_aiokafka
from hypothesis import given
from hypothesis import strategies as st

from schemas.partition import fnv1a32, murmur2, murmur2_32, partition_of_trace, sarama

MURMUR2_OF_48 = {
    "8da608a2c202e8b2e650f5699aeabb5e": 25,
    "aa95749dd82b28aa5183450ace1440b2": 18,
    "3ab8030a16b91090020e906f72db4341": 43,
    "dfa35f09b55cb5e56aa2ca38d83daccd": 1,
    "128780cf198e98632fe3724e9262304c": 44,
}
# Worked out by hand from the definition p = |int32(fnv1a32(key)) % 48| with a truncated remainder:
# 0xe46dc367 is the int32 -462568601 = -(9636845 * 48 + 41); 0x29a2982e is 698521646 = 14552534 * 48 + 14.
SARAMA_OF_48 = {
    "8da608a2c202e8b2e650f5699aeabb5e": 41,
    "aa95749dd82b28aa5183450ace1440b2": 31,
    "3ab8030a16b91090020e906f72db4341": 34,
    "dfa35f09b55cb5e56aa2ca38d83daccd": 8,
    "128780cf198e98632fe3724e9262304c": 14,
}


@pytest.mark.parametrize(("key", "value"), [(b"", 0x811C9DC5), (b"a", 0xE40C292C), (b"foobar", 0xBF9CF968)])
def test_fnv1a_gives_the_published_vectors(key: bytes, value: int) -> None:
    assert fnv1a32(key) == value


@pytest.mark.parametrize(("trace_id", "partition"), MURMUR2_OF_48.items())
def test_murmur2_places_a_trace_as_the_java_client_does(trace_id: str, partition: int) -> None:
    assert partition_of_trace(bytes.fromhex(trace_id), 48, "murmur2") == partition


@pytest.mark.parametrize(("trace_id", "partition"), SARAMA_OF_48.items())
def test_sarama_places_a_trace_as_the_collector_does(trace_id: str, partition: int) -> None:
    assert partition_of_trace(bytes.fromhex(trace_id), 48, "sarama") == partition


@given(st.binary(max_size=40))
def test_murmur2_equals_aiokafkas_own(key: bytes) -> None:
    assert murmur2_32(key) == murmur2_of_aiokafka(key) & 0xFFFFFFFF


def go_remainder(value: int, n: int) -> int:
    """Go's `int32(value) % n`: the quotient is truncated towards zero."""
    signed = value - (1 << 32) if value >> 31 else value
    quotient = abs(signed) // n * (1 if signed >= 0 else -1)
    return signed - quotient * n


@given(st.binary(max_size=40), st.integers(1, 10_000))
def test_sarama_is_the_magnitude_of_gos_remainder(key: bytes, partitions: int) -> None:
    assert sarama(key, partitions) == abs(go_remainder(fnv1a32(key), partitions))


@given(st.binary(max_size=40), st.integers(1, 10_000))
def test_a_partition_is_always_one_of_the_topics(key: bytes, partitions: int) -> None:
    assert 0 <= sarama(key, partitions) < partitions
    assert 0 <= murmur2(key, partitions) < partitions


def test_the_hashers_differ_so_a_wrong_setting_shows_at_once() -> None:
    assert all(MURMUR2_OF_48[trace_id] != SARAMA_OF_48[trace_id] for trace_id in MURMUR2_OF_48)
