"""Ten kills at random moments of a fixed seed, on real servers; `make chaos` has a hundred, of any seed, and every failpoint."""

from pathlib import Path

from tests.chaos.run import STACK, Asked, chaos
from tests.integration.conftest import NewStack
from tests.integration.pipeline import Recorded

ASKED = Asked(kills=10, seed=1, failpoints=False, outage_s=6.0, all_troubles=False, topic_anew=False, spans_per_s=100.0)


async def test_kills_at_random_moments_lose_nothing_and_count_nothing_twice(
    new_stack: NewStack, recorded: Recorded, tmp_path: Path
) -> None:
    stack = await new_stack(**STACK)
    told: list[str] = []
    try:
        happened = await chaos(stack, recorded, tmp_path, ASKED, told.append)
    finally:
        print("\n".join(told))  # pytest shows it where the test fails: the seed, and all that was done
    assert happened.faults["kill a scorer"] >= 5
