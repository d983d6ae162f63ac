"""Texts of one sort, and whether a word or a number stands in them. Lazy: no text is read before somebody asks.

The law: what is answered depends on the texts alone, not on the order of questions. A word is held where `tokens` of a
text has it, a number where `numbers` has it; searching a text as bytes first is only the fast way to a "no", and a look
at the neighbours the fast way to a "yes". A text is searched a few times at most and cut into words once, so that all
questions together stay linear in the texts.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from evaluators.views.literals import UNITS, Forms, numbers, tokens

ASKED_MAX: Final = (
    64  # questions that a text is searched for; then it is indexed, which costs as much as some hundred searches
)
_LOWER: Final = bytes(ord(chr(code).lower()) if code < 128 else code for code in range(256))
_NOT_ALNUM: Final = bytes(code for code in range(128) if not chr(code).isalnum())
_SHAPES: Final = bytes(48 if 48 <= code <= 57 else code for code in _LOWER)
_NOT_DIGITS: Final = bytes(code for code in range(256) if not 48 <= code <= 57)
_DIGIT: Final = re.compile(r"[0-9]")
_IN_NUMBERS: Final = frozenset(".,'")
_UNICODE_ESCAPE: Final = re.compile(r"\\u[0-9a-fA-F]{4}")


class Text:
    """A text as captured. `refine` makes of it the part that counts, when it is first needed."""

    __slots__ = ("_blob", "_lower", "_raw", "_refine", "counted", "digits")

    def __init__(self, raw: str, refine: Callable[[], str] | None = None, digits: bytes | None = None) -> None:
        """`digits` where they are known already: those of the raw text."""
        self._raw = raw
        self._refine = refine
        self._blob: bytes | None = None  # ASCII letters and digits alone, in lower case
        self._lower: str | None = None
        # Its digits alone: mostly few, and an id whose digits do not follow each other there is not in the text.
        self.digits: bytes = raw.encode("utf-8", "replace").translate(None, _NOT_DIGITS) if digits is None else digits
        self.counted = False  # whether its numbers are in the pool's

    @property
    def is_read(self) -> bool:
        """Whether it is what counts: reading it costs nothing but lower case."""
        return self._refine is None

    def may_hold(self, needle: bytes) -> bool:
        """Whether these letters and digits follow each other in it; False is sure."""
        if self._blob is None:
            self._blob = self._raw.encode("utf-8", "replace").translate(_LOWER, _NOT_ALNUM)
        if needle not in self._blob:
            return False
        if self._refine is None:
            return True
        self.lower()
        return self.may_hold(needle)

    def may_show(self, shape: str) -> bool:
        """Whether something of this shape may stand in it; False is sure."""
        return shape.encode("utf-8", "replace") in self._raw.encode("utf-8", "replace").translate(_SHAPES)

    def lower(self) -> str:
        """The part that counts, in lower case, JSON's escapes blanked."""
        if self._lower is None:
            text = self._raw
            if self._refine is not None:
                text, self._refine, self._blob = self._refine(), None, None
                self._raw = text
            if "\\" in text:
                text = text.replace("\\n", " ").replace("\\t", " ").replace("\\r", " ")
                text = _UNICODE_ESCAPE.sub(" ", text) if "\\u" in text else text
            self._lower = text.lower()
        return self._lower


class Pool:
    """Texts to ask."""

    __slots__ = ("_all", "_asked", "_digits", "_live", "_numbers", "_tokens", "_uncounted")

    def __init__(self) -> None:
        self._all: list[Text] = []
        self._live: list[Text] = []  # not yet indexed, oldest first
        self._uncounted: list[Text] = []  # whose numbers may not be in `_numbers`
        self._digits = b""  # of the live ones
        self._asked = 0  # questions since the last indexing
        self._tokens: set[str] = set()
        self._numbers: set[int] = set()

    def add(self, text: Text) -> None:
        """Take a text in, unread."""
        self._all.append(text)
        self._live.append(text)
        self._uncounted.append(text)
        self._digits += b"," + text.digits

    def holds(self, forms: Forms) -> bool:
        """Whether an id stands in the texts, in one of its forms."""
        if not self._all:
            return False
        for ways in forms.pieces:
            if not any(map(self.has, ways)):
                return forms.whole not in forms.pieces[0] and self.has(forms.whole)
        return True

    def has(self, word: str) -> bool:
        """Whether a word, in lower case, stands in the texts: newest first."""
        if self._asked >= ASKED_MAX:
            self._index()
        if word in self._tokens:
            return True
        needle = word.encode() if word.isascii() else b""
        for text in self._searched(needle):
            if (text.is_read or text.may_hold(needle)) and stands(text.lower(), word):
                return True
            if text.may_hold(needle) and word in tokens(text.lower()):
                return True
        return False

    def has_number(self, amount: int) -> bool:
        """Whether a number stands in the texts, however it is written."""
        if self._asked >= ASKED_MAX:
            self._index()
        if amount in self._numbers:
            return True
        for text in self._searched(str(amount // UNITS).encode()):
            self._count(text)
            if amount in self._numbers:
                return True
        return False

    def numbers(self) -> set[int]:
        """All numbers of the texts, in ten-thousandths."""
        for text in self._uncounted:
            self._count(text)
        self._uncounted.clear()
        return self._numbers

    def shows(self, shape: str) -> bool:
        """Whether something of this shape (see `shape_of`) stands in the texts. Reads all of them: to be asked rarely."""
        return any(text.may_show(shape) and stands(_DIGIT.sub("0", text.lower()), shape) for text in self._all)

    def _searched(self, needle: bytes) -> Iterator[Text]:
        """Live texts in which the digits of this needle follow each other, newest first."""
        if self._live:
            self._asked += 1
            digits = needle.translate(None, _NOT_DIGITS)
            if digits in self._digits:
                for text in reversed(self._live):
                    if digits in text.digits:
                        yield text

    def _index(self) -> None:
        for text in self._live:
            self._tokens |= tokens(text.lower())
            self._count(text)
        self._live, self._digits, self._asked = [], b"", 0

    def _count(self, text: Text) -> None:
        if not text.counted:
            text.counted = True
            self._numbers |= numbers(text.lower())


def stands_alone(text: str, number: str) -> bool:
    """Whether a number stands in a text as it is spelled, and is no part of another one: False is not sure."""
    at = text.find(number)
    while at >= 0:
        end = at + len(number)
        before, after = text[at - 1 : at] if at else "", text[end : end + 1]
        if not (before.isalnum() or before in _IN_NUMBERS or after.isalnum()) and (
            after not in _IN_NUMBERS
            or not (text[end + 1 : end + 2].isdigit() or text[end + 1 : end + 2] in _IN_NUMBERS)
        ):
            return True
        at = text.find(number, at + 1)
    return False


def stands(text: str, word: str) -> bool:
    """Whether a word stands in a text between things that are neither letters nor digits."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not (at and text[at - 1].isalnum()) and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, at + 1)
    return False
