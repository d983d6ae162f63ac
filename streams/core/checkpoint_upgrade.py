"""A checkpoint of the version before this one, as this one would have written it.

Version 1 knew one line and one method, and no silence. Its alerts go on under the same ids. The law: only plain data in
and out; when the version rises again, this file is written anew for the next step and the older one is foreign.
"""

from typing import Any


def upgraded(state: dict[str, Any]) -> dict[str, Any]:
    """Version 1 as version 2. The clock of the pipeline's well-being starts now: nothing is called silent too early."""
    added = {"v": 2, "ticked_ms": 0, "well_ms": 0, "refused": []}
    return {**state, **added, "series": [_series(packed) for packed in state["series"]]}


def _series(packed: list[Any]) -> list[Any]:
    *head, step_kind, evaluator_version, detector, exemplars, bucket, episode = packed
    calm_ms = episode[-1] if episode else None
    rungs = [[episode is not None, None, calm_ms]]
    return [*head, 0, step_kind, evaluator_version, [detector], rungs, exemplars, bucket, _episode(episode)]


def _episode(episode: list[Any] | None) -> list[Any] | None:
    if episode is None:
        return None
    *first, refreshed_ms, _log_e, _calm_ms = episode
    return [*first, refreshed_ms, 0, "firing"]
