import pytest

from streams.telemetry.health import ScorerState, readiness_of, readiness_of_scorer

WELL = ScorerState(assigned=4, recovered=4, buffer=0.1, retrying=False, config_read=True)


def test_a_scorer_that_has_read_its_partitions_is_ready():
    assert readiness_of_scorer(WELL) == (True, ())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"config_read": False}, "config log"),
        ({"assigned": 0, "recovered": 0}, "no partition is assigned"),
        ({"recovered": 1}, "3 of 4 partitions are being read back"),
        ({"retrying": True, "buffer": 0.95}, "buffer is 95% full"),
    ],
)
def test_what_makes_a_scorer_unready_is_said(change: dict[str, object], reason: str):
    ready, reasons = readiness_of_scorer(WELL._replace(**change))
    assert not ready
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_a_store_that_is_away_leaves_a_scorer_ready_while_there_is_room():
    assert readiness_of_scorer(WELL._replace(retrying=True, buffer=0.5)).ready


def test_full_buffers_of_a_busy_scorer_are_no_reason():
    assert readiness_of_scorer(WELL._replace(buffer=1.0)).ready


def test_each_sentence_that_holds_is_a_reason():
    assert readiness_of({"a": True, "b": False, "c": True}) == (False, ("a", "c"))
