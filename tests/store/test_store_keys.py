"""Keys as SQL: nothing of a producer's text survives as SQL, and a batch is cut by day."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.trajectory import TraceKey
from streams.store.keys import DAY_MS, KEYS_MAX, Range, among, batches, literal, slices

KEYS = [TraceKey("t", bytes([n]) * 16) for n in range(3)]


@given(st.binary())
def test_a_literal_consists_of_escapes_alone(data: bytes):
    text = literal(data)
    assert bytes.fromhex(text.strip("'").replace("\\x", "")) == data
    assert set(text) <= set("'\\x0123456789abcdef")


def test_a_hostile_tenant_is_a_tenant():
    assert "DROP" not in among([TraceKey("'; DROP TABLE spans", b"x" * 16)])


def test_keys_are_looked_up_once_in_bounded_batches():
    keys = [TraceKey("t", n.to_bytes(16, "big")) for n in range(KEYS_MAX + 1)]
    assert [len(batch) for batch in batches([*keys, *keys])] == [KEYS_MAX, 1]


def test_a_trace_is_looked_for_in_every_day_it_was_received_and_in_no_other():
    a, b, c = KEYS
    found = slices({a: Range(5, 9), b: Range(7, DAY_MS + 3), c: Range(DAY_MS + 1, DAY_MS + 2)})
    assert found == [(5, DAY_MS - 1, [a, b]), (DAY_MS, DAY_MS + 3, [b, c])]
