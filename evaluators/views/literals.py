"""What in an argument or a text can only have been seen or made up: ids and amounts, by their shape alone.

The law: conservative. A value is id-like or amount-like where hardly anybody could know it without having read it; what
a person might say in other words, compute from the calendar or know by heart (dates, years, counts, round sums, short
codes, units, names of standards) is neither. Names and languages play no part.
"""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.payload import is_placeholder, json_or_text

ID_CHARS_MAX: Final = 128
LEAVES_MAX: Final = 200  # values of one call that are looked at
DEPTH_MAX: Final = 20
UNITS: Final = 10_000  # amounts are whole ten-thousandths: sums of prices are exact
SIGNIFICANT_MIN: Final = (
    3  # digits of an amount that is worth asking for: 50 and 1,500 are counts, policies, round sums
)
_INTEGER_ID_MIN: Final = 1_000_000  # seven digits: a number of that size that is not round is rather an id
_AMOUNT_MAX: Final = 1e11
_NUMBER_CHARS_MAX: Final = 24

_ID: Final = re.compile(r"#?[A-Za-z0-9][A-Za-z0-9_-]{3,63}")
_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_PHONE: Final = re.compile(r"[+(]?\d[\d ().-]{5,24}\d")
_DATE: Final = re.compile(
    r"(?:19|20)\d\d(?:([-/.])\d{1,2}\1\d{1,2}|-\d\d|(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01]))(?!\d)"
    r"|\d{1,2}([-/.])\d{1,2}\2(?:\d{4}|\d\d)(?!\d)"
)
_DIGIT: Final = re.compile(r"[0-9]")
_EPOCH: Final = re.compile(r"1[4-9]\d{8}(?:\d{3})?")  # seconds or milliseconds, 2014 to 2033: a clock was read, no text
_YEAR: Final = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_MONEY: Final = re.compile(r"[$€£¥]?\s?[-+]?(\d[\d.,']{0,20})\s?(?:[$€£¥%]|[A-Z]{3})?")
_NUMBER: Final = re.compile(r"\d[\d.,']*")
_PIECE: Final = re.compile(r"[^\W_]+")
_PREFIXED: Final = re.compile(r"[a-z]{1,6}(\d{4,})[a-z]?")  # a prefix that people leave out: ORD48213, W48213
_TURNS: Final = re.compile(r"(?<=[A-Za-z])(?=\d)|(?<=\d)(?=[A-Za-z])")  # between letters and digits
_BLANKED: Final = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 32 for code in range(256))
_GLUED_MAX: Final = 8  # pieces that are read together: 4111 1111 1111 1111, 555-123-4567, O I 5 L 9 G

# Arguments that a caller is meant to make up: Idempotency-Key (IETF draft), X-Request-ID, W3C traceparent; new secrets.
_MADE_UP: Final = re.compile(
    r"idempoten|nonce|request_?id|correlation|trace_?(?:id|parent)|client_?token|passw|secret|salt", re.I
)


Leaves = list[tuple[str, Any]]


def ids_in(found: Leaves) -> tuple[list[tuple[str, str]], Leaves]:
    """The id-like ones of some leaves with their paths, and the leaves that are no ids; placeholders are neither."""
    ids: list[tuple[str, str]] = []
    others: Leaves = []
    for leaf in found:
        path, value = leaf
        if type(value) is str:
            if len(value) > ID_CHARS_MAX or not is_id(value):
                others.append(leaf)
            elif not _is_made_up(path):
                ids.append((path, value))
        elif type(value) is int and abs(value) >= _INTEGER_ID_MIN:
            digits = str(abs(value)) if abs(value) < 10**ID_CHARS_MAX else ""
            if _is_significant(digits) and _is_number_id(digits):
                ids.append((path, digits))
        else:
            others.append(leaf)
    return ids, others


@lru_cache(maxsize=4096)
def _is_made_up(path: str) -> bool:
    return _MADE_UP.search(path) is not None


def amounts_in(others: Leaves) -> list[tuple[str, int]]:
    """The amount-like ones of leaves that are no ids with their paths, in ten-thousandths."""
    amounts = ((path, amount_of(value)) for path, value in others)
    return [(path, amount) for path, amount in amounts if amount is not None]


def leaves(value: Any) -> Leaves:
    """Scalars of a parsed value with their paths, as `items[0].sku`; JSON inside a text is looked into."""
    found: Leaves = []
    _collect("", value, 0, found)
    return found


def _collect(path: str, at: Any, depth: int, found: Leaves) -> None:
    """Append the leaves below this path, in their order."""
    if isinstance(at, str) and at[:1] in ("{", "["):
        at = json_or_text(at)
    if isinstance(at, dict):
        if depth < DEPTH_MAX:
            for key, item in at.items():
                if len(found) >= LEAVES_MAX:
                    return
                inner = f"{path}.{key}" if path else str(key)
                if isinstance(item, str) and item[:1] not in ("{", "["):  # most are: spares them the call
                    found.append((inner, item))
                else:
                    _collect(inner, item, depth + 1, found)
    elif isinstance(at, list):
        if depth < DEPTH_MAX:
            for index, item in enumerate(at[:LEAVES_MAX]):
                if len(found) >= LEAVES_MAX:
                    return
                _collect(f"{path}[{index}]", item, depth + 1, found)
    else:
        found.append((path, at))


@lru_cache(maxsize=8192)
def is_id(value: str) -> bool:
    """Whether a text as a whole is an id, by its shape.

    An e-mail address; five digits or more; letters with four digits (years not counted), or with letters and digits
    taking turns three times. No date, no point in time.
    """
    if not 5 <= len(value) <= ID_CHARS_MAX or value.isalpha() or is_placeholder(value):
        return False
    if "@" in value:
        return _EMAIL.fullmatch(value) is not None
    if _ID.fullmatch(value) is None:
        return _PHONE.fullmatch(value) is not None and _is_phone(value)
    digits = len(_DIGIT.findall(value))
    if not digits or _DATE.match(value) is not None:
        return False
    if digits == len(value):
        return _is_number_id(value)
    if not any(map(str.isalpha, value)):
        return digits >= 7
    counted = len(_DIGIT.findall(_YEAR.sub("", value)))
    return counted >= 4 or (counted >= 2 and len(_TURNS.findall(value)) >= 3)


def _is_number_id(digits: str) -> bool:
    return len(digits) >= 5 and _EPOCH.fullmatch(digits) is None


def _is_phone(value: str) -> bool:
    return 7 <= sum(map(str.isdigit, value)) <= 19 and _DATE.match(value) is None and not _read(value)


def amount_of(value: Any) -> int | None:
    """The amount that a value is, in ten-thousandths and without its sign; None: none that is worth asking for."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if value[:1].isalpha():  # no amount begins so, and most texts do
            return None
        found = _MONEY.fullmatch(value) if value and len(value) <= 32 else None
        if found is None or _DATE.match(value) is not None or _EPOCH.fullmatch(value) is not None:
            return None
        read = _read(found.group(1))
        amount = max(read) if read else None
    elif isinstance(value, int):
        if abs(value) >= _INTEGER_ID_MIN:
            return None
        amount = abs(value) * UNITS
    elif isinstance(value, float) and abs(value) < _AMOUNT_MAX:  # neither infinite nor NaN
        amount = abs(round(value * UNITS))
    else:
        return None
    if amount is None or not _is_significant(str(amount)):
        return None
    return None if amount % UNITS == 0 and 1900 <= amount // UNITS <= 2100 else amount


def spelled(amount: int) -> str:
    """An amount in ten-thousandths as programs write it: 150, 12.5."""
    whole, rest = divmod(amount, UNITS)
    return f"{whole}.{rest:04d}".rstrip("0") if rest else str(whole)


def _is_significant(digits: str) -> bool:
    return len(digits.strip("0")) >= SIGNIFICANT_MIN


@lru_cache(maxsize=4096)
def _read(number: str) -> tuple[int, ...]:
    """What a written number may mean: 1,786.00 and 1.786,00 are clear, 1,786 may be either."""
    number = number.rstrip(".,'").replace("'", "")
    commas, points = number.count(","), number.count(".")
    if not commas and not points:
        return (int(number) * UNITS,) if number.isdecimal() and len(number) <= 11 else ()
    readings = set()
    for mark, other in ((".", ","), (",", ".")):
        whole, _, rest = number.rpartition(mark) if mark in number else (number, "", "")
        groups = whole.split(other)
        grouped = all(len(group) == 3 for group in groups[1:]) and 1 <= len(groups[0]) <= 3
        if mark not in whole and other not in rest and (len(groups) == 1 or grouped):
            text = f"{''.join(groups)}.{rest or 0}"
            if len(text) <= 20 and text.replace(".", "", 1).isdecimal() and float(text) < _AMOUNT_MAX:
                readings.add(round(float(text) * UNITS))
    return tuple(readings)


def numbers(text: str) -> set[int]:
    """All numbers of a text, by value. Commas may group digits or part numbers (JSON without blanks): both are read."""
    found: set[int] = set()
    for number in set(_NUMBER.findall(text)):
        if len(number) <= _NUMBER_CHARS_MAX:
            found.update(_read(number))
        if "," in number:
            found.update(value for part in number.split(",") if part for value in _read(part[:_NUMBER_CHARS_MAX]))
    return found


def tokens(text: str) -> set[str]:
    """The words of a text, and what short pieces give when they are read together: numbers in groups, spelled codes."""
    if not text.isascii():
        return _tokens_of_any(text)
    # The same without an expression, which for a text takes more than twice as long.
    words = text.encode().translate(_BLANKED).decode().split(" ")
    found, run, gap = set(words), list[str](), 0
    found.discard("")
    for word in words:
        if not word:
            gap += 1
            continue
        if len(word) > 1 and word.isalpha():
            if run:
                _glue(run, found)
                run = []
        else:
            if run and gap > 1:
                _glue(run, found)
                run = []
            _add_bare(word, found)
            run.append(word)
        gap = 0
    _glue(run, found)
    return found


def _tokens_of_any(text: str) -> set[str]:
    """`tokens` of a text in whatever script."""
    found: set[str] = set()
    run: list[str] = []
    end = 0
    for match in _PIECE.finditer(text.lower()):
        piece, start = match.group(), match.start()
        found.add(piece)
        if len(piece) > 1 and piece.isalpha():
            _glue(run, found)
            run = []
            continue
        if run and start - end > 2:
            _glue(run, found)
            run = []
        _add_bare(piece, found)
        run.append(piece)
        end = match.end()
    _glue(run, found)
    return found


def _add_bare(piece: str, found: set[str]) -> None:
    if len(piece) > 4 and (prefixed := _PREFIXED.fullmatch(piece)) is not None:
        found.add(prefixed.group(1))


def _glue(run: list[str], found: set[str]) -> None:
    for first in range(len(run) - 1):
        for last in range(first + 2, min(len(run), first + _GLUED_MAX) + 1):
            found.add("".join(run[first:last]))


class Forms(NamedTuple):
    """How an id may stand in a text: as one word, or every piece of it as one of its ways of being written."""

    whole: str
    pieces: tuple[tuple[str, ...], ...]


@lru_cache(maxsize=4096)
def forms_of(value: str) -> Forms:
    """The forms of an id. Pieces without digits are how people write and do not decide, except where there are no others."""
    found: list[str] = _PIECE.findall(value.lower())
    whole = "".join(found)
    telling = [piece for piece in found if "@" in value or not piece.isalpha()] or found
    if whole.isdecimal() and len(found) > 1:
        telling = [whole]
    if whole.isdecimal() and len(whole) > 10:  # a country code is left out when people speak
        return Forms(whole, ((whole, whole[-10:]),))
    return Forms(whole, tuple(_ways(piece) for piece in dict.fromkeys(telling)))


def _ways(piece: str) -> tuple[str, ...]:
    prefixed = _PREFIXED.fullmatch(piece)
    return (piece,) if prefixed is None else (piece, prefixed.group(1))


def shape_of(value: str) -> str | None:
    """What ids like this one look like, in lower case: every digit a 0. None where it has too few digits for an id."""
    digits = len(_DIGIT.findall(value))
    if digits < 3 or len(value) > ID_CHARS_MAX or (value.isdigit() and digits < 6):
        return None
    return _DIGIT.sub("0", value.lower())
