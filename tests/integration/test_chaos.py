"""Ten kills at random moments of a fixed seed, on real servers; `make chaos` has a hundred, of any seed."""

from pathlib import Path

from tests.chaos.run import CHAOS, ENVIRONMENT, chaos
from tests.integration.conftest import NewStack
from tests.integration.pipeline import PARTS, Recorded

SEED = 1


async def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(
    new_stack: NewStack, recorded: Recorded, tmp_path: Path
) -> None:
    parts = (PARTS | {"alerter"}) - {"scorer"}
    stack = await new_stack(parts=parts, environment=ENVIRONMENT, broker_options=CHAOS)
    told: list[str] = []
    happened = await chaos(stack, recorded, tmp_path, 10, SEED, told.append)
    assert happened.faults["kill a scorer"] >= 5, told
