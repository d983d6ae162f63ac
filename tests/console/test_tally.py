"""Counting results: rates over pass and fail alone, a bound on what is counted apart, gates to the last digit."""

import pytest

from streams.console import tally as tally_module
from streams.console.summary import summary
from streams.console.tally import Gate, Tally


def result(verdict="pass", score=1.0, evaluator="Fits", step="a/b", workflow="shop", final=True):
    return {
        "workflow": workflow,
        "step": step,
        "evaluator": evaluator,
        "verdict": verdict,
        "score": score,
        "final": final,
    }


def counted(*results):
    tally = Tally()
    for one in results:
        tally.add(one)
    return tally


def test_unscored_and_error_have_no_share_in_a_rate():
    tally = counted(result(), result("fail", 0.0), result("unscored", None), result("error", None))
    (count,) = tally.series.values()
    assert (count.fail_rate, count.mean_score) == (0.5, 0.5)
    assert counted(result("unscored", None)).series["shop", "a/b", "Fits"].fail_rate is None


def test_steps_beyond_the_bound_are_counted_together(monkeypatch):
    monkeypatch.setattr(tally_module, "SERIES_MAX", 3)
    tally = counted(*(result(step=f"step {n}") for n in range(10)))
    assert len(tally.series) == 4
    assert sum(count.judged for count in tally.series.values()) == 10


def test_a_summary_cut_short_keeps_the_worst_and_says_how_many_are_gone():
    tally = counted(*(result(step=f"step {n}") for n in range(9)), result("fail", 0.0, step="bad"))
    said = summary(tally, 2).plain
    assert "bad" in said and "--all shows 8 more" in said
    assert "--all" not in summary(tally).plain


@pytest.mark.parametrize(
    ("passes", "fails", "share", "said"),
    [
        (99, 1, 0.99, None),
        (0, 0, 0.0, "Fits judged nothing, so it is not at 0"),
        (0, 1, 0.0, None),
        (98, 2, 0.99, "Fits is at 0.980, under 0.99: 98 of 100 passed"),
        (98_999, 1_001, 0.99, "Fits is at 0.98999, under 0.99: 98,999 of 100,000 passed"),
    ],
)
def test_gates(passes, fails, share, said):
    tally = counted(*[result()] * passes, *[result("fail", 0.0)] * fails, result("unscored", None))
    assert Gate("Fits", share).failure(tally) == said


def test_provisional_results_open_no_gate():
    assert Gate("Fits", 0.5).failure(counted(result(final=False))) == "Fits judged nothing, so it is not at 0.5"
