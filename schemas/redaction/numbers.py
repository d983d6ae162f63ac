"""Patterns of numbers: cards, bank accounts, telephones."""

import re
from collections.abc import Iterator
from itertools import accumulate

from schemas.redaction.pattern import Pattern, named_by

_digits_in = re.compile(r"\d[\d\s()./_|*-]{5}").search
_GROUP = re.compile(r"\d+")
# ISO/IEC 7812: what the first digits of cards are; years and milliseconds are none of them.
_ISSUER = re.compile(r"[3-6]|2(?:20[0-4]|2[2-9]|[3-6]|7[01]|720)")
_BROKEN_OFF = re.compile(
    r"[A-Za-z0-9]|-[A-Za-z0-9]|\.(?!0{1,2}(?!\d))\d"
)  # after a group: it belongs to something longer

# ISO 13616, by country: how long an account is.
_IBAN_CHARS = {
    country: size
    for size, countries in {
        15: "NO", 16: "BE", 18: "DK FI FK FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "AO CV GW LY MZ PT ST", 26: "DZ IR IS TR", 27: "BI CF CG CM DJ FR GA GQ GR IT KM MC MG MR SM TD",
        28: "AL AZ BF BJ BY CI CY DO GT HN HU LB MA ML NE NI PL SN SV TG", 29: "BR EG PS QA UA", 30: "JO KW MU YE",
        31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for country in countries.split()
}  # fmt: skip
_IBAN_CHAR = re.compile(r"[ .-]{0,2}([A-Za-z0-9])")


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


class _Luhn:
    """Luhn's check (ISO/IEC 7812-1) of any digits in a row among these."""

    def __init__(self, digits: str) -> None:
        self._sums = [[0], [0]]  # of the digits so far, those at even or those at odd places doubled
        for at, digit in enumerate(map(int, digits)):
            doubled = digit * 2 - (9 if digit > 4 else 0)
            for odd, sums in enumerate(self._sums):
                sums.append(sums[-1] + (doubled if at % 2 == odd else digit))

    def holds(self, start: int, end: int) -> bool:
        sums = self._sums[end % 2]  # the last digit counts once, the one before it twice
        return (sums[end] - sums[start]) % 10 == 0


def _card(text: str) -> str | None:
    digits = _digits(text)
    return digits if _ISSUER.match(digits) and _Luhn(digits).holds(0, len(digits)) else None


def _cards(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Of a run of digits in groups, the groups in a row that together may be a card: 13 to 19 digits, by Luhn; the longest."""
    text = found.string
    groups = [group.span() for group in _GROUP.finditer(text, *found.span())]
    if _BROKEN_OFF.match(text, found.end()):
        groups.pop()
    digits = "".join(text[start:end] for start, end in groups)
    ends = list(accumulate(end - start for start, end in groups))
    if not any(_ISSUER.match(digits, end) for end in (0, *ends)):
        return  # most long numbers are times
    luhn, at = _Luhn(digits), 0
    while at < len(groups):
        first, last = ends[at - 1] if at else 0, at
        if _ISSUER.match(digits, first):
            for n in range(at, len(groups)):
                if ends[n] - first > 19:
                    break
                if ends[n] - first >= 13 and luhn.holds(first, ends[n]):
                    last = n + 1
        if last > at:
            yield groups[at][0], groups[last - 1][1]
        at = max(last, at + 1)


def _ibans(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """From a country and its check digits on, as many characters as that country's accounts have."""
    text, end = found.string, found.end()
    for _ in range(_IBAN_CHARS.get(found[0][:2].upper(), 0) - 4):
        char = _IBAN_CHAR.match(text, end)
        if char is None:
            return
        end = char.end()
    if end > found.end() and not re.match(r"[A-Za-z0-9]", text[end : end + 1]):
        yield found.start(), end


def _iban(text: str) -> str | None:
    """ISO 13616: the rest modulo 97 is 1 (ISO 7064)."""
    plain = re.sub(r"[ .-]", "", text).upper()
    number = int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4]))
    return plain if number % 97 == 1 else None


def _phone(text: str) -> str | None:
    digits = _digits(re.split("[xe]", text)[0])  # without an extension
    return digits if 8 <= len(digits) <= 15 else None  # E.164


_NOT_IN_A_WORD = r"(?<![A-Za-z0-9])(?<![A-Za-z0-9][_-])(?<!\d\.)"  # nor in an id, nor behind a decimal point
_NO_MORE = r"(?![A-Za-z0-9]|-[A-Za-z0-9]|\.\d)"
_AROUND = r"(?:[ \t./_|*-]{1,3}|\r?\n)"  # between the groups of a card as it is printed on it
CARD = Pattern("CARD", _digits_in, re.compile(_NOT_IN_A_WORD + r"\d(?:[ -]?\d){12,}+"), _card, _cards)
PRINTED_CARD = Pattern(
    "CARD",
    _digits_in,
    re.compile(
        rf"{_NOT_IN_A_WORD}(?:\d{{4}}(?:{_AROUND}\d{{4}}){{3}}|\d{{4}}{_AROUND}\d{{6}}{_AROUND}\d{{5}}){_NO_MORE}"
    ),
    _card,
)
IBAN = Pattern(
    "IBAN", re.compile(r"\d\d(?<=[A-Za-z]\d\d)").search, re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}"), _iban, _ibans
)
PHONE = Pattern(
    "PHONE",
    _digits_in,
    re.compile(
        r"(?<![A-Za-z0-9+.-])(?:(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){6,14}"  # international
        r"|(?:1[ .-]?)?\(\d{3}\) ?\d{3}[ .-]\d{4}|(?:1[ .-])?\d{3}([ .-])\d{3}\1\d{4}"  # North American
        r"|\(0\d{1,4}\) ?\d{2,8}(?:[ -]?\d{2,8}){0,3}"  # a trunk 0, as in most of Europe and Asia
        r"|0[1-9]\d{1,4}[ /-]\d{2,8}(?:[ -]?\d{2,8}){0,3}|0[1-9](?:[ .-]\d\d){4}|0[1-9][ -]\d{8}|0[1-9][ -]\d{4}[ -]\d{4}"
        r"|(?<!_)0[1-9]\d{8,9}"
        r"|1[3-9]\d([ -])\d{4}\2\d{4})"  # Chinese
        r"(?: ?(?:x|ext\.?) ?\d{1,6})?" + _NO_MORE
    ),
    _phone,
)
# Digits that only their name makes a telephone.
NAMED_PHONE = Pattern(
    "PHONE",
    _digits_in,
    re.compile(r"(?<=[\s\"'(\[:=])\+?\(?\d(?:[ ()./-]{0,2}\d){7,14}" + _NO_MORE),
    _phone,
    named_by(
        re.compile(
            r"(?i:phone|mobile|fax|whatsapp|msisdn|telefon|(?<![a-z])tel\.?)(?i:[ _-]?(?:number|num|no|nr)\.?)?[\"']?"
            r"\s{0,3}[:=]\s{0,3}\[?\s{0,3}[\"'(]?\Z"
        ),
        40,
    ),
)
