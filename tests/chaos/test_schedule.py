"""A run is not good for want of looking: a failpoint that nobody reached, a scorer that ended for no known reason, are errors."""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.failpoint import POINTS, REACHED
from tests.chaos.failpoints import NeverReached, check_all_reached
from tests.chaos.schedule import Schedule


def reached(folder: Path, times: dict[tuple[str, str], int]) -> tuple[Any, Any]:
    """A stack whose parts reached every point twice, or as often as is said here; and so a fleet."""
    (folder / "logs").mkdir()
    for part in ("gateway", "alerter"):
        lines = [f"{REACHED}{name}\n" * times.get((part, name), 2) for name in POINTS[part]]
        (folder / "logs" / f"{part}.log").write_text("begins\n" + "other words\n".join(lines))
    scorers = Counter({name: times.get(("scorer", name), 2) for name in POINTS["scorer"]})
    return SimpleNamespace(data_dir=folder), SimpleNamespace(reached=scorers)


def test_all_points_twice_are_enough(tmp_path: Path) -> None:
    assert check_all_reached(*reached(tmp_path, {})) == 2 * sum(map(len, POINTS.values()))


@pytest.mark.parametrize(
    ("part", "name", "times"),
    [("scorer", "before_dlq_index", 1), ("gateway", "after_record", 0), ("alerter", "before_commit", 1)],
)
def test_a_point_that_is_not_reached_often_enough_is_named(tmp_path: Path, part: str, name: str, times: int) -> None:
    with pytest.raises(NeverReached, match=f"{part} {name}': {times}"):
        check_all_reached(*reached(tmp_path, {(part, name): times}))


def test_an_end_is_explained_by_what_was_done_and_by_nothing_else() -> None:
    schedule = Schedule(lambda _: None)
    words = "error: no ClickHouse answers at 127.0.0.1:1: start it"
    assert schedule.explain(words) is None, "nothing happened to the store"
    schedule.done("kill the broker", "broker")
    assert schedule.explain(words) is None, "nor does the broker explain it"
    schedule.done("the store refuses", "store")
    assert schedule.explain(words) == "no store at its start"
    assert schedule.explain("stopping: a bug of ours") is None
    assert schedule.explain("stopping, to be started anew") is None
    schedule.touch("outage")
    assert schedule.explain("otlp_spans-0: nothing done\nstopping, to be started anew") is not None
