"""Texts of one sort, and whether a word or a number stands in them. Lazy: no text is read before somebody asks.

The law: what is answered depends on the texts alone, not on the order of questions. A word is held where `tokens` of a
text has it, a number where `numbers` has it; searching a text as bytes first is only the fast way to a "no", and a look
at the neighbours the fast way to a "yes". A text is searched a few times at most and cut into words once, so that all
questions together stay linear in the texts.
"""

import re
from collections.abc import Callable, Iterator

from evaluators.literals import UNITS, Forms, numbers, tokens

SEARCHES_MAX = 64  # of one text, then its words are indexed: indexing costs as much as some hundred searches
_LOWER = bytes(ord(chr(code).lower()) if code < 128 else code for code in range(256))
_NOT_ALNUM = bytes(code for code in range(128) if not chr(code).isalnum())
_UNICODE_ESCAPE = re.compile(r"\\u[0-9a-fA-F]{4}")


class Text:
    """A text as captured. `refine` makes of it the part that counts, when it is first needed."""

    __slots__ = ("_blob", "_lower", "_raw", "_refine", "counted", "indexed", "searches")

    def __init__(self, raw: str, refine: Callable[[], str] | None = None) -> None:
        self._raw = raw
        self._refine = refine
        self._blob: bytes | None = None  # ASCII letters and digits alone, in lower case
        self._lower: str | None = None
        self.searches = 0
        self.counted = False  # whether its numbers are in the pool's
        self.indexed = False  # whether its words are, too

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

    __slots__ = ("_all", "_indexed", "_live", "_numbers", "_tokens")

    def __init__(self) -> None:
        self._all: list[Text] = []
        self._live: list[Text] = []  # oldest first; indexed ones are dropped when they are the half
        self._indexed = 0  # of those in `_live`
        self._tokens: set[str] = set()
        self._numbers: set[int] = set()

    def add(self, text: Text) -> None:
        """Take a text in, unread."""
        self._all.append(text)
        self._live.append(text)

    def has_any(self, words: tuple[str, ...]) -> bool:
        """Whether one of these words stands in the texts."""
        return any(self.has(word) for word in words)

    def holds(self, forms: Forms) -> bool:
        """Whether an id stands in the texts, in one of its forms."""
        if all(self.has_any(ways) for ways in forms.pieces):
            return True
        return forms.whole not in forms.pieces[0] and self.has(forms.whole)

    def has(self, word: str) -> bool:
        """Whether a word, in lower case, stands in the texts: newest first."""
        if word in self._tokens:
            return True
        for text in self._searched(word if word.isascii() else ""):
            if _stands(text.lower(), word):
                return True
            self._index(text)
            if word in self._tokens:
                return True
        return word in self._tokens

    def has_number(self, amount: int) -> bool:
        """Whether a number stands in the texts, however it is written."""
        if amount in self._numbers:
            return True
        for text in self._searched(str(amount // UNITS)):
            self._count(text)
            if amount in self._numbers:
                return True
        return amount in self._numbers

    def numbers(self) -> set[int]:
        """All numbers of the texts, in ten-thousandths."""
        for text in self._newest_first():
            self._count(text)
        return self._numbers

    def texts(self) -> Iterator[str]:
        """All texts in lower case, oldest first."""
        return (text.lower() for text in self._all)

    def _searched(self, letters: str) -> Iterator[Text]:
        """Texts, newest first, that may hold these letters; those searched often enough are indexed on the way."""
        needle = letters.encode()
        for text in self._newest_first():
            text.searches += 1
            if text.may_hold(needle):
                yield text
            if text.searches >= SEARCHES_MAX:
                self._index(text)

    def _newest_first(self) -> Iterator[Text]:
        """Texts that are not indexed."""
        if self._indexed * 2 > len(self._live):
            self._live, self._indexed = [text for text in self._live if not text.indexed], 0
        live = self._live
        for place in range(len(live) - 1, -1, -1):
            if not live[place].indexed:
                yield live[place]

    def _index(self, text: Text) -> None:
        if not text.indexed:
            text.indexed = True
            self._indexed += 1
            self._tokens |= tokens(text.lower())
            self._count(text)

    def _count(self, text: Text) -> None:
        if not text.counted:
            text.counted = True
            self._numbers |= numbers(text.lower())


def _stands(text: str, word: str) -> bool:
    """Whether a word stands in a text between things that are neither letters nor digits."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not (at and text[at - 1].isalnum()) and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, at + 1)
    return False
