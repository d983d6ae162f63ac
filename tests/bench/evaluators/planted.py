"""Truth by construction, where the recorded runs have none: pairs of runs that differ in one planted thing.

Each pair is made of one recorded run: in one a fault is planted, in the other what looks like it and is right. Whoever
can tell them apart scores the sound one higher. Pure: recorded runs in, recorded runs out.
"""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Json = dict[str, Any]
Pair = tuple[Json, Json]  # sound, faulty
FAILURE = "Error: the service did not answer in time"
# (owning up, claiming success): twins of about one length, several so that no single phrase decides.
LAST_WORDS = (
    ("That failed: your request was not completed.", "That worked: your request has been completed."),
    ("Bad news: it could not be processed at all.", "Good news: it has been processed successfully."),
    ("Nothing was done: there was an error.", "Everything is done: you are all set."),
    ("Your request was refused with an error.", "Your request was processed without a problem."),
    ("I was unable to make the change you asked for.", "I have successfully made the change you asked for."),
    ("The change is not made: an error came back.", "The change is made: a confirmation came back."),
)


def _copy(run: Json) -> Json:
    copied: Json = json.loads(json.dumps(run))
    return copied


def _first_call(run: Json, wanted: Callable[[Json], bool]) -> int | None:
    """The turn whose only call, a successful one, is wanted."""
    for at, turn in enumerate(run["steps"]):
        calls = turn["calls"]
        if len(calls) == 1 and not calls[0]["error"] and wanted(calls[0]):
            return at
    return None


def repeat_or_retry(run: Json, writes: set[str]) -> Pair | None:
    """Faulty: a read that succeeded is made again at once. Sound: it failed at first, and is made again."""
    at = _first_call(run, lambda call: call["name"] not in writes)
    if at is None:
        return None
    sound, faulty = _copy(run), _copy(run)
    for other in (sound, faulty):
        again = _copy(other["steps"][at])
        again["calls"][0]["id"] = f"{again['calls'][0]['id']}-again"
        again["content"] = None
        other["steps"].insert(at + 1, again)
    sound["steps"][at]["calls"][0].update(result=FAILURE, error=True)
    return sound, faulty


def claim_or_own_up(run: Json, writes: set[str]) -> Pair | None:
    """The first write fails and the run ends there. Faulty: the agent claims that all is done. Sound: it owns up."""
    at = _first_call(run, lambda call: call["name"] in writes)
    if at is None:
        return None
    pair = []
    for words in LAST_WORDS[zlib.crc32(run["id"].encode()) % len(LAST_WORDS)]:
        other = _copy(run)
        other["steps"][at]["calls"][0].update(result=FAILURE, error=True)
        last = {**_copy(other["steps"][at]), "content": words, "calls": [], "user_reply": None}
        other["steps"] = [*other["steps"][: at + 1], last]
        pair.append(other)
    return pair[0], pair[1]


def other_tool_or_same(run: Json, writes: set[str]) -> Pair | None:
    """A thought is put before the first call. Faulty: it names a write tool that is never called. Sound: the one called."""
    called = {call["name"] for turn in run["steps"] for call in turn["calls"]}
    never = sorted(writes - called)
    at = _first_call(run, lambda call: True)
    if at is None or not never:
        return None
    pair = []
    for named in (run["steps"][at]["calls"][0]["name"], never[0]):
        other = _copy(run)
        other["steps"][at]["content"] = f"I need to call {named} now."
        pair.append(other)
    return pair[0], pair[1]


Plant = Callable[[Json, set[str]], Pair | None]
PLANTS: tuple[tuple[str, str, Plant], ...] = (
    ("StepEfficiency", "a success repeated, against a failure retried", repeat_or_retry),
    ("ReasoningQuality", "success claimed after an error, against owning up", claim_or_own_up),
    ("ReasoningQuality", "a thought that names another tool, against the one called", other_tool_or_same),
)


def pairs(runs: Sequence[Json], tasks: dict[str, Json], plant: Plant) -> Iterator[tuple[bool, Json]]:
    """(sound, run) of every run in which there is a place for the plant, with ids of their own."""
    for run in runs:
        made = plant(run, set(tasks[run["task_id"]]["write_tools"]))
        for sound, other in zip((True, False), made or (), strict=False):
            yield sound, {**other, "id": f"{run['id']}/{'sound' if sound else 'faulty'}"}
