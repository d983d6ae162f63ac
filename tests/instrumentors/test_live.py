"""The real packages, now: each pair is run in its environment and exports over OTLP. `make instrumentors` builds them."""

from pathlib import Path

import pytest

from tests.instrumentors import environment
from tests.instrumentors.canonical import canonical, fields
from tests.instrumentors.golden import trajectories
from tests.instrumentors.not_captured import Pair, pairs, problems, table
from tests.instrumentors.receiver import Receiver

pytestmark = pytest.mark.instrumentors


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.name)
def test_a_run_of_the_real_packages_is_the_canonical_one(pair: Pair, tmp_path: Path) -> None:
    if not environment.is_built(pair.name):
        pytest.skip(f"the packages are not here: python -m tests.instrumentors {pair.name}")
    with Receiver() as receiver:
        environment.run(pair.name, receiver.url)
    receiver.keep(tmp_path / "run.otlp.gz")
    found = fields(trajectories(tmp_path / "run.otlp.gz"))
    assert list(problems(found, canonical(pair.shape), table().get(pair.name, []))) == []
