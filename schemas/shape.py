"""A JSON Schema learnt from values: the types that were seen, what was always there, and sets of words that are closed.

A fold; the order of values and runs does not matter. The law: the schema accepts every value that it was learnt from.
What it adds beyond types it adds only on evidence: a closed set of words (`enum`) must look closed, see `_is_closed`.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

from schemas.payload import is_placeholder

DEPTH_MAX = 6  # of nested objects and lists; what lies deeper is not described
PROPERTIES_MAX = 64  # of one object; more are the keys of a mapping, not properties
WORDS_MAX = 8  # in a closed set
ENUM_CALLS_MIN = 30  # before words are called a closed set
CALLS_PER_WORD_MIN = 8
DATES_MIN = 10
MAPPING_KEYS_MIN = 12  # so many keys of which none is always there are data
# Short capitals are codes of things (places, currencies, countries): few were seen, not few exist.
_WORD = re.compile(r"(?![A-Z]{1,4}$)[A-Za-z]+(?:[ _-][A-Za-z]+){0,2}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TOKENS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")
# Names of arguments whose values name one thing of many, or are free text: few of them were seen, not few exist.
_OPEN_WORDS = """
    id ids key keys uuid guid token hash code codes number no num ref reference name names email mail phone address city
    country zip street date time day query question text message body content description title subject note comment
    summary thought url uri path file user customer account owner author tag tags label labels keyword keywords"""
_OPEN_NAMES = frozenset(_OPEN_WORDS.split())


class Shape:
    """What was seen of the values in one place."""

    __slots__ = ("dates", "items", "objects", "properties", "seen", "types", "words")

    def __init__(self) -> None:
        self.seen = 0
        self.types: Counter[str] = Counter()
        self.words: dict[str, tuple[int, int | None]] | None = {}  # word -> (times, its run; None: of several)
        self.dates = 0
        self.objects = 0
        self.properties: dict[str, Shape] | None = {}
        self.items: Shape | None = None

    def see(self, value: Any, run: int, depth: int = 0) -> None:
        """Take in one more value, of this run. A redacted one tells nothing but that it was there."""
        self.seen += 1
        if is_placeholder(value):
            return
        kind = _kind(value)
        self.types[kind] += 1
        if kind == "string":
            self._see_text(value, run)
        elif kind == "object":
            self._see_object(value, run, depth)
        elif kind == "array" and depth < DEPTH_MAX:
            self.items = self.items or Shape()
            for item in value:
                self.items.see(item, run, depth + 1)

    def _see_text(self, text: str, run: int) -> None:
        self.dates += _is_date(text)
        if self.words is None:
            return
        if not (len(text) <= 40 and _WORD.fullmatch(text)):
            self.words = None
            return
        times, of_run = self.words.get(text, (0, run))
        self.words[text] = (times + 1, run if of_run == run else None)
        if len(self.words) > WORDS_MAX:
            self.words = None

    def _see_object(self, value: Mapping[str, Any], run: int, depth: int) -> None:
        self.objects += 1
        if self.properties is None:
            return
        for name, inner in value.items():
            known = self.properties.get(name)
            if known is None:
                if depth >= DEPTH_MAX or len(self.properties) >= PROPERTIES_MAX:
                    self.properties = None
                    return
                known = self.properties[name] = Shape()
            known.see(inner, run, depth + 1)

    def schema(self, name: str = "") -> dict[str, Any]:
        """The JSON Schema; `name` is what the place is called."""
        kinds = sorted(self.types)
        if "number" in kinds and "integer" in kinds:
            kinds.remove("integer")
        if (
            not kinds or self.types.total() < self.seen
        ):  # nothing is known, or what a redactor took away may be anything
            return {}
        schema: dict[str, Any] = {"type": kinds[0] if len(kinds) == 1 else kinds}
        if kinds == ["string"] and self._is_closed(name):
            return {"enum": sorted(self.words or ())}
        if kinds == ["string"] and self.dates == self.seen >= DATES_MIN:
            schema["format"] = "date"
        if self.objects and (properties := self._described()) is not None:
            schema["properties"] = {key: shape.schema(key) for key, shape in properties.items()}
            if required := sorted(key for key, shape in properties.items() if shape.seen == self.objects):
                schema["required"] = required
        if self.items is not None and self.items.types and (items := self.items.schema(name)):
            schema["items"] = items
        return schema

    def _described(self) -> "Mapping[str, Shape] | None":
        """The properties in order of their names; None where the keys are data."""
        properties = self.properties
        if properties is None:
            return None
        constant = any(shape.seen == self.objects for shape in properties.values())
        if len(properties) >= MAPPING_KEYS_MIN and not constant:
            return None
        return dict(sorted(properties.items()))

    def _is_closed(self, name: str) -> bool:
        """Whether these words look like all there are: few words, each often, each in more than one run.

        By Good and Turing the share of values not yet seen is about that of the values seen once; here that is none.
        """
        words = self.words
        if not words or len(words) < 2 or self.seen < ENUM_CALLS_MIN or self.seen < CALLS_PER_WORD_MIN * len(words):
            return False
        if _OPEN_NAMES & {token.lower() for token in _TOKENS.findall(name)}:
            return False
        return all(of_run is None for _, of_run in words.values())


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def _is_date(text: str) -> bool:
    if len(text) != 10 or not _DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
