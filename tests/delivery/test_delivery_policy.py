"""What an answer means, when to ask again, and when a target is left alone: tables, with time moved by hand."""

import pytest

from schemas.target import Kind, Retry
from streams.delivery.gate import BURST_S, FAILURES_MAX, OPEN_FIRST_S, OPEN_MOST_S, Gate, answered, opens_s, started
from streams.delivery.verdict import Answer, Outcome, outcome_of, pause_s, read_retry_after

RETRY = Retry(first_s=5, most_s=3_600, give_up_after_s=86_400)
T0 = 1_760_000_000.0


@pytest.mark.parametrize(
    ("kind", "answer", "outcome"),
    [
        ("webhook", Answer(status=200), "delivered"),
        ("webhook", Answer(status=204), "delivered"),
        ("webhook", Answer(status=302), "again"),
        ("webhook", Answer(status=400), "again"),  # Standard Webhooks: all but 2xx and 410
        ("webhook", Answer(status=410), "gone"),
        ("webhook", Answer(status=429), "busy"),
        ("webhook", Answer(status=500), "again"),
        ("webhook", Answer(status=503, retry_after_s=7), "busy"),
        ("webhook", Answer(status=503), "again"),
        ("webhook", Answer(failure="timeout"), "again"),
        ("webhook", Answer(failure="address_refused"), "again"),  # names move
        ("slack", Answer(status=200), "delivered"),
        ("slack", Answer(status=400), "refused"),
        ("slack", Answer(status=302), "refused"),
        ("slack", Answer(status=410), "gone"),
        ("pagerduty", Answer(status=202), "delivered"),
        ("pagerduty", Answer(status=400), "refused"),
        ("pagerduty", Answer(status=429), "busy"),
        ("pagerduty", Answer(status=500), "again"),
        ("alertmanager", Answer(status=400), "refused"),
        ("alertmanager", Answer(status=502), "again"),
        ("file", Answer(failure="storage"), "again"),
    ],
)
def test_what_an_answer_means(kind: Kind, answer: Answer, outcome: Outcome) -> None:
    assert outcome_of(kind, answer) == outcome


@pytest.mark.parametrize(
    ("attempts", "retry_after_s", "luck", "pause"),
    [
        (1, None, 0.0, 2.5),
        (1, None, 1.0, 5.0),
        (2, None, 1.0, 10.0),
        (10, None, 1.0, 2_560.0),
        (11, None, 1.0, 3_600.0),
        (10_000, None, 1.0, 3_600.0),
        (1, 60.0, 1.0, 60.0),
        (6, 3.0, 1.0, 160.0),
        (1, 1e9, 1.0, 3_600.0),  # nobody silences alerts for a year
    ],
)
def test_pauses_double_up_to_an_hour_and_what_is_asked_for_is_honoured(
    attempts: int, retry_after_s: float | None, luck: float, pause: float
) -> None:
    assert pause_s(RETRY, attempts, retry_after_s, luck) == pytest.approx(pause)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("soon", None),
        ("-5", None),
        ("9" * 400, 999_999_999_999.0),
        ("Thu, 09 Oct 2025 08:54:20 GMT", 60.0),
        ("Thu, 09 Oct 2024 08:54:20 GMT", 0.0),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert read_retry_after(text, 1_760_000_000.0) == seconds


def after(outcomes: list[Outcome], gate: Gate | None = None, at_s: float = T0) -> Gate:
    gate = gate or Gate()
    for outcome in outcomes:
        gate = answered(gate, outcome, at_s, 0.0, 1.0)
    return gate


def test_the_breaker_opens_after_failures_in_a_row_and_a_success_between_begins_anew() -> None:
    assert not after(["again"] * (FAILURES_MAX - 1)).broken
    assert not after(["again"] * (FAILURES_MAX - 1) + ["delivered"] + ["again"] * (FAILURES_MAX - 1)).broken
    assert not after(["again", "refused"] * FAILURES_MAX).broken  # whoever refuses is alive
    broken = after(["again"] * FAILURES_MAX)
    assert broken.broken
    assert opens_s(broken, 10, T0, 0) == T0 + OPEN_FIRST_S


def test_requests_that_were_open_when_it_broke_do_not_count_again() -> None:
    assert after(["again"] * (FAILURES_MAX + 3)) == after(["again"] * FAILURES_MAX)


def test_a_broken_target_gets_one_probe_at_a_time_at_growing_distances_and_opens_with_a_success() -> None:
    gate, now, pauses = after(["again"] * FAILURES_MAX), T0, []
    for _ in range(7):
        opens = opens_s(gate, 10, now, 0)
        assert opens is not None
        pauses.append(opens - now)
        now, gate = opens, started(gate, 10, opens)
        assert opens_s(gate, 10, now, in_flight=1) is None
        gate = after(["again"], gate, now)
    assert pauses == [15, 30, 60, 120, 240, OPEN_MOST_S, OPEN_MOST_S]
    whole = after(["delivered"], gate, now + OPEN_MOST_S)
    assert not whole.broken
    assert opens_s(whole, 10, now + OPEN_MOST_S, in_flight=3) == now + OPEN_MOST_S


def test_a_busy_target_gets_its_pause_and_counts_as_alive() -> None:
    gate = answered(Gate(failures=4), "busy", T0, 60.0, 1.0)
    assert not gate.broken
    assert opens_s(gate, 10, T0 + 1, 0) == T0 + 60


@pytest.mark.parametrize("rate", [0.5, 1.0, 10.0])
def test_never_more_than_the_rate_and_one_burst_goes_out(rate: float) -> None:
    gate, now, n = Gate(), T0, 0
    while now < T0 + 60:
        opens = opens_s(gate, rate, now, 0)
        assert opens is not None
        now = max(opens, now)
        gate, n = started(gate, rate, now), n + 1
    assert 60 * rate <= n <= 60 * rate + max(1, BURST_S * rate) + 1
