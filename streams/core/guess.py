"""Whether a tool changes something, guessed: from the verb in its name, else from how it was called.

It is a guess, always with the reason that a person can check. Nothing is judged by it before a person has read it.
"""

import re
from typing import NamedTuple

CALLS_MIN = 20  # before the way it is called tells anything
REPEATED_SHARE = 0.2  # of calls that repeat an earlier one: then it costs nothing to call it
LAST_SHARE = 0.5  # of runs whose last call it is: agents end on what they came to do
_TOKENS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

_READ_WORDS = """
    analyse analyze browse calculate check compare compute count describe diff download estimate evaluate examine explain
    export fetch filter find get grep has head inspect is list load look lookup match monitor peek ping plan poll preview
    print query quote read recommend resolve retrieve scan search select show simulate status summarise summarize test
    think trace translate validate verify view watch"""
_WRITE_WORDS = """
    activate add allocate append apply approve archive assign authorise authorize ban block buy cancel clear close commit
    complete confirm create deactivate decline delete demote deploy destroy disable discard dismiss drop edit enable
    enroll erase execute forward freeze give import increment insert install invite join kick kill launch lock login
    logout mark merge migrate modify move notify pause pay persist promote provision publish push put reboot register
    reject remove rename renew reopen replace reply reschedule reset resize restart restore resume revert revoke rotate
    save sell send set ship sign start stop submit subscribe suspend swap sync terminate toggle trigger unassign unblock
    undo uninstall unlock unsubscribe update upgrade upload upsert void withdraw write"""
_NOUN_WORDS = """
    alert book capture change charge credit debit deposit dispatch exchange file grant issue log order patch permit post
    purchase record refund release report request reserve return route run schedule share store transfer"""
_LOOKUP_WORDS = "fetch find get lookup read retrieve search show view"
READS = frozenset(_READ_WORDS.split())
WRITES = frozenset(_WRITE_WORDS.split())
NOUNS = frozenset(_NOUN_WORDS.split())  # that write where they are verbs: they tell where they stand first
LOOKUPS = frozenset(_LOOKUP_WORDS.split())  # that are never nouns: what is before them is


class Guess(NamedTuple):
    """Whether it writes, and why that is thought."""

    writes: bool
    reason: str


class Calls(NamedTuple):
    """How a tool was called."""

    executed: int  # calls that did their work
    repeated: int  # of those, calls equal to an earlier one of their run that did its work
    runs: int  # with such a call
    last: int  # of those, runs whose last call it was


def guess_writes(name: str, calls: Calls) -> Guess:
    """The guess for one tool."""
    verb = _verb([token.lower() for token in _TOKENS.findall(name)])
    if verb:
        return Guess(verb not in READS, f"its name says {verb!r}")
    if calls.executed < CALLS_MIN:
        return Guess(False, "nothing in its name tells, and it was called too seldom")
    if calls.repeated >= REPEATED_SHARE * calls.executed:
        return Guess(False, f"{calls.repeated} of {calls.executed} calls repeat an earlier one")
    if not calls.repeated and calls.last >= LAST_SHARE * calls.runs:
        return Guess(True, f"never repeated, and the last call in {calls.last} of {calls.runs} runs")
    return Guess(False, "nothing tells that it writes")


def _verb(tokens: list[str]) -> str:
    """The word of a name that says what is done: the first one, the last one, else any; "" where none does."""
    if not tokens:
        return ""
    if tokens[0] in NOUNS:
        return tokens[-1] if tokens[-1] in LOOKUPS else tokens[0]
    return next((t for t in (tokens[0], tokens[-1], *tokens) if t in READS or t in WRITES), "")
