"""Every description holds without servers too, wherever the buckets begin and however outcomes bunch up."""

import pytest

from tests.scenarios.rehearsal import Rehearsal
from tests.scenarios.scenario import read_all

PLAYED = {name: scenario for name, scenario in read_all().items() if not scenario.day}
OFFSETS_MS, BATCHES_MS = (0, 3_300, 6_700), (1, 5_000)


@pytest.mark.parametrize("name", PLAYED)
def test_it_is_told_rightly_at_any_alignment(name: str) -> None:
    rehearsal = Rehearsal(name, PLAYED[name])
    for offset_ms in OFFSETS_MS:
        for batch_ms in BATCHES_MS:
            verdict = rehearsal.verdict(offset_ms, batch_ms)
            assert verdict.problems == [], f"{offset_ms} ms after a bucket, outcomes every {batch_ms} ms"
