"""What the agent said to people, and whether a required output is among it.

The law: numbers compare by value (1,786 is 1786 is $1,786.00, and 4 is not in 2024); a phrase must stand there as whole
words, and not in a clause that denies it; anything else compares without regard to case and commas.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from schemas.payload import json_or_text
from schemas.span import Span

TEXTS_MAX = 2_000  # messages of one trajectory that are read
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?!\w*[A-Za-z_])")
_WHOLE_NUMBER = re.compile(r"[$€£]?\s*(-?\d+(?:\.\d+)?)\s*[%€]?")
_DENIAL = re.compile(r"\b(?:no|not|never|cannot|without|unable|\w+n['’]t)\b")
_CLAUSE_END = re.compile(r"[.!?;:\n]\s")


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


def _texts(message: Any) -> Iterator[str]:
    """Texts in a message of any of the usual shapes: a text, a list, `content`, `parts`."""
    if isinstance(message, str):
        yield message
    elif isinstance(message, list):
        for item in message:
            yield from _texts(item)
    elif isinstance(message, dict) and message.get("role", "assistant") in ("assistant", "model", "ai"):
        if message.get("type", "text") in ("text", "output_text", "message"):
            for key in ("content", "text"):
                yield from _texts(message.get(key))
        yield from _texts(message.get("parts"))


def unsaid(required: Iterable[str], texts: Iterable[str]) -> list[str]:
    """The required outputs that none of these texts says."""
    said = [_plain(text) for text in texts]
    numbers = {float(number) for text in said for number in _NUMBER.findall(text)}
    return [output for output in required if not _is_said(_plain(output), said, numbers)]


def _plain(text: str) -> str:
    return re.sub(r"(?<=\d),(?=\d)", "", text).casefold().strip()


def _is_said(output: str, said: list[str], numbers: set[float]) -> bool:
    number = _WHOLE_NUMBER.fullmatch(output)
    if number is not None:
        return float(number.group(1)) in numbers
    output = output.replace(",", "")
    return not output or any(_stands_in(output, text.replace(",", "")) for text in said)


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
