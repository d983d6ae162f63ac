"""What the agent said to people: whether a required output is among it, and whether it owns up to a failure.

The law: numbers compare by value (1,786 is 1786 is $1,786.00, and 4 is not in 2024); a phrase must stand there as whole
words, and not in a clause that denies it; anything else compares without regard to case and commas.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.payload import json_or_text
from schemas.span import Span

TEXTS_MAX: Final = 2_000  # messages of one trajectory that are read
_DEPTH_MAX: Final = 20  # levels of a message that are looked into
_OTHERS: Final = frozenset(
    {"user", "human", "tool", "function", "system", "developer"}
)  # whose texts are not the assistant's
_TEXT_TYPES: Final = frozenset({"text", "output_text", "message", "ai", "assistant", "AIMessage", "AIMessageChunk"})
_INNER_KEYS: Final = ("parts", "message", "choices", "kwargs", "messages", "generations")
_NUMBER: Final = re.compile(
    r"(?<![\w.])-?\d++(?:\.\d++)?+(?!\w*[A-Za-z_])"
)  # never gives back: hostile digits cost no square
_WHOLE_NUMBER: Final = re.compile(r"[$€£]?\s*(-?\d+(?:\.\d+)?)\s*[%€]?")
_COMMA: Final = re.compile(r"(?<=\d),(?=\d)")
_DIGIT: Final = re.compile(r"\d")
_EXACT_MAX: Final = 1e15  # a larger number may be spelled with other digits than those it is read as
_LETTERS: Final = re.compile(r"[a-z]+")
_DENIAL: Final = re.compile(r"\b(?:no|not|never|cannot|without|unable|\w+n['’]t)\b")
_OWNING_UP: Final = re.compile(
    r"\b(?:unfortunately|sorry|apologi[sz]e|apologies|unable|unsuccessful|unavailable|impossible|insufficient|failed|failure"
    r"|cannot|can['\u2019]t|could(?: not|n['\u2019]t)|went wrong|declined|rejected|denied"
    r"|not (?:yet )?(?:possible|available|able|enough)"
    r"|(?:is|are|was|were|has|have|had|did|does|will|would)(?: not|n['\u2019]t)|won['\u2019]t"
    r"|(?<!any )(?<!no )(?<!further )(?<!other )(?:issues?|problems?|errors?|trouble))\b",
    re.IGNORECASE,
)
_CONDITION: Final = re.compile(r"\b(?:if|should|whether|in case|whenever|until|unless)\b", re.IGNORECASE)
_CLAUSE_END: Final = re.compile(r"[.!?;:\n]\s")


def assistant_texts(spans: Iterable[Span]) -> Iterator[str]:
    """Texts of the assistant in the output messages of these spans."""
    count = 0
    for span in spans:
        if span.output_messages is None:
            continue
        for text in _texts(json_or_text(span.output_messages)):
            yield text
            count += 1
            if count >= TEXTS_MAX:
                return


def _texts(message: Any, depth: int = 0) -> Iterator[str]:
    """Texts in a message of any of the usual shapes: a text, a list, `content`, `parts`, `choices`."""
    if isinstance(message, str):
        yield message
    elif depth > _DEPTH_MAX:
        return
    elif isinstance(message, list):
        for item in message:
            yield from _texts(item, depth + 1)
    elif isinstance(message, dict) and str(message.get("role", "")).lower() not in _OTHERS:
        if str(message.get("type") or "text") in _TEXT_TYPES:
            for key in ("content", "text"):
                yield from _texts(message.get(key), depth + 1)
        for key in _INNER_KEYS:
            inner = message.get(key)
            if isinstance(inner, dict | list):
                yield from _texts(inner, depth + 1)


def owns_up(span: Span) -> bool:
    """Whether what a span says to people owns up to something that did not work, other than as a condition.

    English words; where none of them stands, a person who reads it takes it that all went well.
    """
    texts = assistant_texts((span,))
    return any(not _CONDITION.search(_clause(text, at.start())) for text in texts for at in _OWNING_UP.finditer(text))


class Wanted(NamedTuple):
    """A required output, read once."""

    output: str  # as it was required
    number: float | None  # it is one
    phrase: str  # else what must stand there, plain
    probe: str  # letters or digits that every text has in which it stands; "" where there is no telling


@lru_cache(maxsize=1024)
def wanted(output: str) -> Wanted:
    """What must be said for this output."""
    plain = _plain(output)
    number = _WHOLE_NUMBER.fullmatch(plain)
    if number is not None:
        value = float(number.group(1))
        return Wanted(output, value, "", str(abs(int(value))) if abs(value) < _EXACT_MAX else "")
    phrase = plain.replace(",", "")
    return Wanted(output, None, phrase, max(_LETTERS.findall(phrase), key=len, default=""))


def may_say(captured: str, outputs: Iterable[Wanted]) -> bool:
    """Whether messages, as captured, can hold one of these outputs: a quick look that spares the reading of most."""
    folded = ungrouped = ""
    for want in outputs:
        if want.number is not None:
            if not (captured.isascii() and want.probe) or "\\u" in captured:
                if _DIGIT.search(captured):  # digits may be spelled in other ways
                    return True
                continue
            ungrouped = ungrouped or captured.replace(",", "")
            if want.probe in ungrouped:
                return True
        elif not want.probe:
            return True
        else:
            folded = folded or captured.casefold()
            if want.probe in folded:
                return True
    return False


def unsaid(required: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The required outputs that none of these texts says."""
    said = [_plain(text) for text in texts]
    numbers = _Numbers(said)
    return [output for output in required if not _is_said(wanted(output), said, numbers)]


class _Numbers:
    """The numbers in texts, found when they are first asked for."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts
        self._found: set[float] | None = None

    def __contains__(self, number: float) -> bool:
        if self._found is None:
            self._found = {float(found) for text in self._texts for found in _NUMBER.findall(text)}
        return number in self._found


def _plain(text: str) -> str:
    return (_COMMA.sub("", text) if "," in text else text).casefold().strip()


def _is_said(want: Wanted, said: list[str], numbers: _Numbers) -> bool:
    if want.number is not None:
        return want.number in numbers
    return not want.phrase or any(_stands_in(want.phrase, text.replace(",", "")) for text in said)


def _stands_in(phrase: str, text: str) -> bool:
    """Whether the phrase stands in the text as whole words; of several words, not where its clause denies it before."""
    start = text.find(phrase)
    while start >= 0:
        end = start + len(phrase)
        whole = not (text[start - 1 : start].isalnum() and phrase[0].isalnum())
        whole = whole and not (text[end : end + 1].isalnum() and phrase[-1].isalnum())
        if whole and not (" " in phrase and not _DENIAL.search(phrase) and _DENIAL.search(_clause(text, start))):
            return True
        start = text.find(phrase, start + 1)
    return False


def _clause(text: str, at: int) -> str:
    """What stands in the clause before this place."""
    before = text[max(0, at - 200) : at]
    ends = list(_CLAUSE_END.finditer(before))
    return before[ends[-1].end() :] if ends else before
