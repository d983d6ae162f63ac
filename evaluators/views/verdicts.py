"""What a verifier said, read from its structured output. A pure function of the span, kept once a fold.

The law: the verdict is the verifier's own word, or there is none. It is read from the outermost object that has a key
for it, a line that names it (`Verdict: pass`), or a text that is one such word; never from prose, and never where two
keys of one object contradict each other.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from evaluators.base import Context
from schemas.payload import json_or_text
from schemas.span import Span
from schemas.trajectory import Step

SCORE_PASSES_AT: Final = 0.5  # a bare score in [0, 1], where the verifier names no threshold of its own
NODES_MAX: Final = 200  # values of one output that are looked through
FENCE_CHARS_MAX: Final = 20  # the word of a language after a fence
TEXT_CHARS_MAX: Final = 20_000  # of one text in which a verdict is looked for


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_YES: Final = _words(
    "pass passed passes approve approved accept accepted ok okay valid verified correct compliant allow allowed safe "
    "success succeeded successful confirmed"
)
_NO: Final = _words(
    "fail failed fails failure reject rejected deny denied invalid incorrect wrong noncompliant non_compliant block "
    "blocked unsafe refuse refused revise retry redo incomplete needs_revision needs_changes needs_work "
    "changes_requested request_changes unsuccessful"
)
_WORDS: Final = {**dict.fromkeys(_YES, True), **dict.fromkeys(_NO, False)}
_ANSWERS: Final = {**_WORDS, "yes": True, "true": True, "no": False, "false": False}  # to a key that asks
# Words of a status that is about the verifying, not the verified.
_TRANSPORT: Final = _words("ok okay success succeeded successful failure")

_SAYS: Final = _words("verdict decision judgement judgment assessment evaluation conclusion label")
_GOOD_IF_TRUE: Final = _words(
    "passed pass passes approved approve is_approved accepted accept valid is_valid correct is_correct verified "
    "is_verified compliant is_compliant success successful safe is_safe ok allowed"
)
_BAD_IF_TRUE: Final = _words(
    "failed fail rejected reject is_rejected invalid is_invalid blocked flagged triggered tripwire_triggered violation "
    "unsafe is_unsafe harmful denied"
)
_WEAK: Final = _words("result status outcome")
_THRESHOLDS: Final = ("threshold", "pass_threshold", "passing_score", "pass_at")
_LINE: Final = re.compile(
    r"^\W{0,8}(?:final |overall )?(?:verdict|decision|judge?ment|passed|approved|valid)\b\W{0,4}[:=]\W{0,6}"
    r"(\w+(?:[ -]\w+){0,2})(?=[^\S\n]*(?:$|[^\w\s]))",
    re.IGNORECASE | re.MULTILINE,
)
# Where producers wrap what was said; a verdict below any other key is about a part of the work.
_WRAPPERS: Final = _words(
    "content contents parts text output outputs output_text result response message messages raw value arguments args "
    "function tool_calls json_dict pydantic data answer final_output structured_output parsed kwargs choices"
)
_TRIPWIRE: Final = "GuardrailTripwireTriggered"


class Verdicts:
    """The verdicts of one fold's verifiers, each output read once."""

    def __init__(self, context: Context) -> None:
        self._by_index: dict[int, bool | None] = {}

    def of(self, step: Step) -> bool | None:
        """Whether the verifier of this step passed the work; None: nothing that can be read."""
        if step.index not in self._by_index:
            self._by_index[step.index] = verdict_of(step.span)
        return self._by_index[step.index]


def verdict_of(span: Span) -> bool | None:
    """Whether a verifier's span says that the work passed; None where it says neither."""
    if any(_TRIPWIRE in word for word in (span.exception, span.error_type, span.status_message)):
        return False
    for text in (span.result, span.output_messages):
        if text is not None and text.strip():
            found = _in(json_or_text(text))
            if found is not None:
                return found
    return None


def _in(value: Any) -> bool | None:
    """The verdict of the outermost object that has one; of messages the last, by the assistant."""
    for node in _outermost_first(value):
        found = _of_text(node) if isinstance(node, str) else _of_object(node)
        if found is not None:
            return found
    return None


def _outermost_first(value: Any) -> Iterator[str | Mapping[str, Any]]:
    """Texts and objects breadth first, bounded. A text that holds an object stands for that object."""
    level, left = [value], NODES_MAX
    while level and left > 0:
        inner: list[Any] = []
        for node in level[:left]:
            left -= 1
            if isinstance(node, str):
                held = _held(node)
                if held is None:
                    yield node
                else:
                    inner.append(held)
            elif isinstance(node, Mapping):
                if node.get("role", "assistant") not in ("assistant", "model", "ai", "tool"):
                    continue
                yield node
                inner += [item for key, item in node.items() if key in _WRAPPERS]
            elif isinstance(node, list):
                inner += reversed(node)
        level = inner


def _held(text: str) -> Any:
    """The JSON value in a text: the whole of it, or in a fence; None where there is none."""
    if text.lstrip()[:1] in ("{", "["):
        value = json_or_text(text)
        return None if isinstance(value, str) else value
    for fenced in reversed(text.split("```")[1::2]):  # the last one decides
        start = fenced.find("{")
        value = json_or_text(fenced[start:]) if 0 <= start <= FENCE_CHARS_MAX else None
        if isinstance(value, Mapping):
            return value
    return None


def _of_text(text: str) -> bool | None:
    """One word, or the one line that names a verdict."""
    if len(text) > TEXT_CHARS_MAX:
        return None
    word = _word(text)
    if word in _WORDS:
        return _WORDS[word]
    said = {_answer(value) for value in _LINE.findall(text)} - {None}
    return _one(said)


def _of_object(said: Mapping[str, Any]) -> bool | None:
    """What the keys of one object say, if they agree. A bare score counts only where no key says more."""
    plain = {_word(key): value for key, value in said.items() if isinstance(key, str)}
    found = {answer for key, value in plain.items() if (answer := _key_says(key, value)) is not None}
    if found:
        return _one(found)
    score = _score(plain)
    if score is not None:
        return score
    weak = {_WORDS.get(w) for key, v in plain.items() if key in _WEAK and (w := _word(v)) not in _TRANSPORT} - {None}
    return _one(weak)


def _key_says(key: str, value: Any) -> bool | None:
    if key in _SAYS or key in _GOOD_IF_TRUE:
        return _answer(value)
    if key in _BAD_IF_TRUE:
        answer = _answer(value)
        return None if answer is None else not answer
    return None


def _one(said: set[Any]) -> bool | None:
    """The answer of answers that agree."""
    return bool(said.pop()) if len(said) == 1 else None


def _answer(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    word = _word(value)
    if word.startswith("not_") and (denied := _ANSWERS.get(word[4:])) is not None:
        return not denied
    return _ANSWERS.get(word)


def _score(plain: Mapping[str, Any]) -> bool | None:
    """A score in [0, 1] against the threshold that stands beside it, or one half."""
    score = plain.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        return None
    stated = [plain[name] for name in _THRESHOLDS if type(plain.get(name)) in (int, float)]
    return bool(score >= (stated[0] if stated else SCORE_PASSES_AT))


def _word(value: Any) -> str:
    """A value as one word of our lists: `Needs revision!` is `needs_revision`."""
    if not isinstance(value, str) or len(value) > 60:
        return ""
    return re.sub(r"[\W_]+", "_", value).strip("_").casefold()
