"""A cause as a sentence that a person on call reads first. Pure."""

from schemas.alert import spell_time
from schemas.attribution import Mark, Share
from streams.core.wording import percent

FAULTS = {
    "missing_argument": "missing",
    "unexpected_argument": "not declared",
    "wrong_type": "of the wrong type",
    "not_in_enum": "not an allowed value",
    "wrong_format": "in the wrong format",
    "constraint": "against its schema",
    "invented": "invented",
    "other_customer": "of another customer",
    "other_entity": "of another entity",
}
NAMES = {"evaluator_version": "evaluator version"}


def sentence_of(of: Mark, since: Share, before: Share, elsewhere: Share | None, onset_ms: int, *, is_new: bool) -> str:
    """What changed, with the shares that show it. Times are UTC."""
    clock = spell_time(onset_ms)[11:16]
    was = f"was {percent(before.rate)}" if before.n else "nothing is known of before"
    if of.feature == "argument":
        fault = FAULTS.get(of.reason_code, of.reason_code.replace("_", " "))
        return f"{where(of)}`{of.value}` {fault} in {percent(since.rate)} of runs since {clock}, {was}"
    if of.feature == "reason_code":
        return f"{where(of)}{of.evaluator} says {of.value} in {percent(since.rate)} of runs since {clock}, {was}"
    named = f"{NAMES.get(of.feature, of.feature)} {of.value}" + (f" (new since {clock})" if is_new else "")
    if elsewhere is None or not elsewhere.n:
        return f"{named}: all runs have it, {percent(since.rate)} fail since {clock}, {was}"
    return f"{named}: {percent(since.rate)} of its runs fail since {clock}, {percent(elsewhere.rate)} of the others"


def where(of: Mark) -> str:
    """`executor / update_crm: `, as much of it as is known."""
    known = " / ".join(name for name in (of.agent, of.tool) if name)
    return f"{known}: " if known else ""
