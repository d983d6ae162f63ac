"""The header that tells log records from spans."""

import pytest

from schemas.signal import SIGNAL_HEADER, signal_of


@pytest.mark.parametrize(
    ("headers", "signal"),
    [
        (None, "traces"),
        ((), "traces"),
        ([("stepwatch-tenant", b"shop")], "traces"),
        ([("stepwatch-tenant", b"shop"), (SIGNAL_HEADER, b"logs")], "logs"),
        ([(SIGNAL_HEADER, b"traces")], "traces"),
        ([(SIGNAL_HEADER, b"metrics")], "metrics"),
        ([(SIGNAL_HEADER, b"\xff")], "\ufffd"),
    ],
)
def test_the_header_says_the_signal_and_without_it_a_record_holds_traces(headers, signal):
    assert signal_of(headers) == signal
