"""What a pattern is: a kind of value, where it may stand in a text, and whether what stands there is one.

Every pattern is linear in the text: what repeats has a bound or gives nothing back, and what surrounds it cannot match the same
characters. Checks that a pattern cannot say (Luhn, ISO 7064, how many digits) are made on what it found. Around a value only
letters and digits of ASCII count as a part of a longer word: other scripts put no spaces.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple


class Value(NamedTuple):
    """Where a value stands, and its normal form."""

    start: int
    end: int
    normal: str


class Pattern(NamedTuple):
    """One kind of value. `hint`: a quick look, which several may share; where it says no, there is none."""

    kind: str
    hint: Callable[[str], object]
    regex: re.Pattern[str]
    normal: Callable[[str], str | None]  # the value in its normal form; None: it only looks like one
    within: Callable[[re.Match[str]], Iterable[tuple[int, int]]] | None = (
        None  # where in the text, given what was found; None: all of that
    )

    def values(self, text: str) -> Iterator[Value]:
        """The values in a text of which the hint says yes, none over another."""
        after = 0
        for found in self.regex.finditer(text):
            for start, end in (found.span(),) if self.within is None else self.within(found):
                if start >= after and (normal := self.normal(text[start:end])) is not None:
                    after = end
                    yield Value(start, end, normal)

    def finds(self, text: str) -> bool:
        """Whether a text of which the hint says yes has a value."""
        return self.regex.search(text) is not None and any(True for _ in self.values(text))


def hinted(patterns: Iterable[Pattern], text: str) -> Iterator[Pattern]:
    """The patterns that may find something; each hint is asked once, when its turn comes."""
    told: dict[Callable[[str], object], object] = {}
    for pattern in patterns:
        hint = pattern.hint
        if hint not in told:
            told[hint] = hint(text)
        if told[hint]:
            yield pattern


def any_of(*words: str) -> Callable[[str], bool]:
    """A hint: one of these words stands in the text."""

    def hint(text: str) -> bool:
        for word in words:  # noqa: SIM110 - half the time of any() with a generator, at each text
            if word in text:
                return True
        return False

    return hint


def named_by(
    name: re.Pattern[str], before: int, group: int = 0
) -> Callable[[re.Match[str]], Iterator[tuple[int, int]]]:
    """What was found, where the characters before it end with such a name."""

    def within(found: re.Match[str]) -> Iterator[tuple[int, int]]:
        start = found.start()
        if name.search(found.string, max(0, start - before), start):
            yield found.span(group)

    return within
