"""The short scenarios on the running stack, while the alerter is killed, fenced, and told everything twice.

All scenarios, undisturbed: `make scenarios`. With fifty kills: `make chaos-alerts`.
"""

import random
from collections.abc import Awaitable, Callable

from streams.local.stack import LocalStack
from tests.scenarios import chaos, stage
from tests.scenarios.scenario import read_all

NewStack = Callable[..., Awaitable[LocalStack]]
KILLS, FENCES = 5, 1


async def test_the_short_scenarios_are_told_rightly_while_the_alerter_is_killed(own_parts: NewStack) -> None:
    seed, scenarios = random.randrange(1_000_000), read_all(short=True)
    stack = await own_parts("gateway", "scorer", "alerter", environment=chaos.ALERTER, policy=chaos.UNDYING)
    trouble = chaos.Chaos(stack, seed, kills=KILLS, fences=FENCES)
    evening = await stage.play(scenarios, stack.settings, alongside=trouble)
    assert (trouble.kills, trouble.fences) == (KILLS, FENCES)
    assert await chaos.older_checkpoints(stack.settings) > 0, "an old checkpoint was the last one"
    wrong = [f"{v.scenario}: {problem}" for v in stage.verdicts(scenarios, evening) for problem in v.problems]
    assert wrong + stage.difference(evening) == [], f"chaos seed {seed}"
