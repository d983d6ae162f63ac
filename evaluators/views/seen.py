"""What a run has seen so far: words of people and of the system, and results. Never the model's own words.

Kept once a fold. Steps are taken in unread; reading begins with the first question. The law: an id that the model made
up does not become seen because it stands in its own messages, in the arguments of its calls, or in the error of the
call that it made with it.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, Literal

from evaluators.base import Context
from evaluators.views.literals import forms_of, leaves, spelled
from evaluators.views.messages import Messages
from evaluators.views.texts import Pool, Text, stands, stands_alone
from schemas.payload import is_placeholder
from schemas.span import BAD_VALUE, DROPPED_ATTRIBUTES, ERROR, TRUNCATED, Span, is_step
from schemas.trajectory import Step

QUICK_MAX: Final = 64  # questions of a fold for which the results are looked through as they are
MASKS_MAX: Final = 50  # what looks like a redactor's trace in one text, and is held against markup
Doubt = Literal["", "not_captured", "redacted", "truncated"]
_LOSSY: Final = TRUNCATED | DROPPED_ATTRIBUTES | BAD_VALUE
_CALLS: Final = frozenset({"tool_call", "retrieval", "handoff", "human"})
_SPEAKERS: Final = ('"user"', '"system"', '"human"', '"developer"')
# What a redactor leaves inside a text; and how what stands in brackets begins.
_MASKS: Final = re.compile(
    r"__[A-Z][A-Z_]*__|(?<!\*)\*{3,}\d|[\"' ]\*{3,}[\"' ,.]|\{\{[A-Z_]+\}\}|\bREDACTED\b|<([A-Z][A-Z0-9_ ]{2,})>"
    r"|\[(?:[A-Z][A-Z_ ]{2,}|redacted|masked)(?::[^\]]{0,40})?\]|<(?:redacted|masked)>"
)
_ANGLED, _SQUARED = re.compile(r"<[A-Zrm]"), re.compile(r"\[[A-Zrm]")


class Seen:
    """The texts that a run has seen. Shared in a fold; steps are taken in when the first question comes.

    What a call brings is seen by the steps after it; what a model was given is seen by the model's own step.
    """

    def __init__(self, context: Context) -> None:
        self._steps, self._calls = context.steps, context.calls
        self._taken = 0
        self._quick = 0  # questions that were answered by a look at the results, or not
        self.framed = False  # whether the root is a step, and was seen
        self._parts: list[tuple[Messages, bytes]] = []  # not yet told apart, and their digits
        self._heard: dict[str, str] = {}  # by agent: the newest input messages
        self._answered: set[str] = set()  # results that were captured themselves, and the ids of their calls
        self._unmasked: list[str] = []  # texts not yet looked through for a redactor's traces
        self._lossy = self._gap = self._unheard = self._speaks = self._masked = False
        self._roots: tuple[Sequence[Span], Pool] | None = None
        self._results = Pool()  # as the calls brought them
        self._said = Pool()  # all that input messages say, but for the model's own words
        self._words = Pool()  # of that the words of people and of the system, told apart where somebody asks
        self._retold = Pool()  # and the results, as messages tell them

    def holds(self, value: str) -> bool:
        """Whether an id was seen."""
        forms = forms_of(value)
        if (forms.whole == value or not forms.whole.isdecimal()) and self._is_brought(value, stands):
            return True
        self._take()
        return self._results.holds(forms) or self._said.holds(forms)

    def is_named(self, value: str) -> bool:
        """Whether an id stands in the words of people or of the system."""
        self._take()
        forms = forms_of(value)
        return self._said.holds(forms) and self._told_apart()[0].holds(forms)

    def is_result(self, value: str) -> bool:
        """Whether an id stands in what calls and retrievals brought."""
        self._take()
        forms = forms_of(value)
        return self._results.holds(forms) or (self._said.holds(forms) and self._told_apart()[1].holds(forms))

    def is_shape_named(self, shape: str) -> bool:
        """Whether something of this shape stands in the words. Reads all of them: to be asked rarely."""
        self._take()
        return self._said.shows(shape) and self._told_apart()[0].shows(shape)

    def shows(self, shape: str) -> bool:
        """Whether something of this shape was seen. Reads everything: to be asked rarely."""
        self._take()
        return self._results.shows(shape) or self._said.shows(shape)

    def holds_number(self, amount: int) -> bool:
        """Whether a number, in ten-thousandths, was seen."""
        if self._is_brought(spelled(amount), stands_alone):
            return True
        self._take()
        return self._results.has_number(amount) or self._said.has_number(amount)

    def numbers(self, enough: int) -> set[int]:
        """All numbers seen; where there are more than `enough`, more than that many of them."""
        self._take()
        found = self._results.numbers()
        return found if len(found) > enough else found | self._said.numbers()

    def heard(self) -> bool:
        """Whether any words of people or of the system were captured."""
        self._take()
        return self._speaks

    def doubt(self) -> Doubt:
        """Why something may have been seen although it is not held; "" when it was not."""
        self._take()
        return self.doubt_of_results() if (self._speaks and not self._unheard) or self._lossy else "not_captured"

    def doubt_of_results(self) -> Doubt:
        """The same, where words are not asked for: no model's input is missed."""
        self._take()
        if self._lossy:
            return "truncated"
        if self._gap:
            return "not_captured"
        if self._unmasked:
            self._masked = self._masked or _has_mask("\n".join(self._unmasked))
            self._unmasked.clear()
        return "redacted" if self._masked else ""

    def frame(self, roots: Sequence[Span]) -> Pool:
        """The words in the input of roots that are no steps: known only with the whole."""
        if self._roots is None or self._roots[0] != roots:
            pool = Pool()
            for root in roots:
                if root.input_messages and not is_step(root.kind):
                    pool.add(Text(root.input_messages, Messages(root.input_messages, frozenset()).all))
            self._roots = roots, pool
        return self._roots[1]

    def _is_brought(self, value: str, stands: Callable[[str, str], bool]) -> bool:
        """Whether a call that did not fail brought this value as it is, newest first: the fast way to a "yes".

        Most values come from there, and nothing has to be read or sorted to find them. False says nothing.
        """
        self._quick += 1
        if self._quick > QUICK_MAX:
            return False
        calls = self._calls
        at = len(calls)
        if at and calls[-1] is self._steps[-1]:
            at -= 1  # the call that the run has come to
        while at:
            at -= 1
            result = calls[at].span.result
            if result is not None and value in result and stands(result, value) and not calls[at].call.failed:
                return True
        return False

    def _take(self) -> None:
        """Sort the texts of the steps that came since the last question."""
        steps, at = self._steps, self._taken
        end = len(steps)
        if end and steps[-1].span.kind in _CALLS:
            end -= 1  # the call that the run has come to: what it brings is not seen by itself
        if at >= end:
            return
        self._taken = end
        for step in steps[at:end]:
            span = step.span
            if not span.parent_id and not span.tool:
                self.framed = True
            if span.flags & _LOSSY:
                self._lossy = True
            if span.kind in _CALLS:
                self._result(step)
            if span.input_messages is not None:
                self._messages(step.agent, span.input_messages)
            elif (span.kind == "llm" or (span.kind == "planner" and span.model)) and span.status != ERROR:
                self._unheard = True  # a call of a model; a span around planning has its messages in the call below

    def _told_apart(self) -> tuple[Pool, Pool]:
        """Words, and results as messages tell them."""
        for part, digits in self._parts:
            self._words.add(Text(part.raw, part.words, digits))
            if "tool" in part.raw or "unction" in part.raw:
                self._retold.add(Text(part.raw, part.results, digits))
        self._parts.clear()
        return self._words, self._retold

    def _result(self, step: Step) -> None:
        span = step.span
        if span.result is None:
            self._gap = self._gap or (span.kind != "handoff" and not step.call.failed)
            return
        self._answered.add(span.result)
        if span.call_id:
            self._answered.add(span.call_id)
        if is_placeholder(span.result):
            self._masked = True
        self._unmasked.append(span.result)
        if span.kind == "human":
            self._words.add(Text(span.result))
            self._said.add(Text(span.result))
            self._speaks = True
        else:
            self._results.add(Text(span.result, partial(_without_echo, step) if step.call.failed else None))

    def _messages(self, agent: str, raw: str) -> None:
        """Input messages mostly repeat the whole talk: of a text that goes on where the last one ended, what is new."""
        before = self._heard.get(agent)
        self._heard[agent] = whole = raw
        if before is not None and before[-1:] == "]" and len(whole) >= len(before):
            head = before[:-1]
            if whole.startswith(head):
                raw = f"[{whole[len(head) :].lstrip().removeprefix(',')}"
        if len(raw) < 8 and not raw.strip("[] \n"):
            return
        self._unmasked.append(raw)
        part = Messages(raw, self._answered)
        text = Text(raw, part.all)
        self._said.add(text)
        self._parts.append((part, text.digits))
        if not self._speaks:
            self._speaks = any(who in raw for who in _SPEAKERS) or bool(part.words().strip())


def _without_echo(step: Step) -> str:
    """The error of a failed call, without the arguments that it repeats."""
    text = step.span.result or ""
    for _, value in leaves(step.call.arguments):
        if value is not None and not isinstance(value, bool) and len(str(value)) > 2:
            text = text.replace(str(value), " ")
    return text


def _has_mask(text: str) -> bool:
    if not _may_have_mask(text):
        return False
    # <INSTRUCTIONS>...</INSTRUCTIONS> is markup, <PHONE_NUMBER> is a redactor's.
    found = islice(_MASKS.finditer(text), MASKS_MAX)
    return any(m.group(1) is None or f"</{m.group(1)}" not in text for m in found)


def _may_have_mask(text: str) -> bool:
    """Whether a redactor's trace may stand in it; False is sure. One character is found much faster than two, and two are
    found three times as fast from the end as from the beginning: the simpler loop of CPython."""
    return (
        "REDACTED" in text
        or ("*" in text and text.rfind("***") >= 0)
        or ("_" in text and text.rfind("__") >= 0)
        or ("{" in text and text.rfind("{{") >= 0)
        or ("<" in text and _ANGLED.search(text) is not None)
        or ("[" in text and _SQUARED.search(text) is not None)
    )
