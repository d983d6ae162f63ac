"""Whether a part is ready, with reasons. Pure.

The law: a dependency that is away does not make a part unready while it can still take work, or an outage of the store would
restart every worker. Readiness says whether *this process* does its job: it owns something, has read its state, and what it
buffers is below its bound.
"""

from collections.abc import Mapping
from typing import NamedTuple

BUFFER_FULL = 0.9  # share of a buffer above which a part is not ready


class Readiness(NamedTuple):
    """The answer, and a sentence for each reason against it."""

    ready: bool
    reasons: tuple[str, ...]


class ScorerState(NamedTuple):
    """What the scorer knows of itself."""

    assigned: int  # partitions
    recovered: int  # of them those whose state was read back
    buffer: float  # spans waiting for a flush, share of the bound
    retrying: bool  # the store or Kafka is away
    config_read: bool


def readiness_of_scorer(state: ScorerState) -> Readiness:
    """Ready: config read, all assigned partitions recovered, buffer below the bound."""
    reasons = []
    if not state.config_read:
        reasons.append("the config log was not read yet")
    if not state.assigned:
        reasons.append("no partition is assigned: more scorers than partitions, or the group is rebalancing")
    if state.recovered < state.assigned:
        reasons.append(f"{state.assigned - state.recovered} of {state.assigned} partitions are being read back")
    if state.retrying and state.buffer >= BUFFER_FULL:
        reasons.append(f"the store or Kafka does not answer and the buffer is {state.buffer:.0%} full")
    return Readiness(not reasons, tuple(reasons))


def readiness_of(missing: Mapping[str, bool]) -> Readiness:
    """Ready when no sentence of these holds."""
    reasons = tuple(sentence for sentence, holds in missing.items() if holds)
    return Readiness(not reasons, reasons)
