"""What `mask` looks for in a text, and the token that takes its place.

Every pattern is linear in the text: what repeats has a bound, and what surrounds it cannot match the same characters. Checks that
a pattern cannot say (Luhn, ISO 7064, how many digits) are made on what it found.

    [EMAIL:kdmajgpobnchelif]    [CARD]

A token names its kind. With a secret it also holds 64 bits of HMAC-SHA256 of the value in its normal form, under a key of its
tenant: equal values have equal tokens within a tenant, and nobody without the secret can try values out. The bits are letters,
so that no pattern finds anything in a token: redacting twice is redacting once.
"""

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

WHOLE = "[REDACTED]"  # stands for content that is not kept at all
TOKEN = re.compile(r"\[[A-Z_]{3,20}(?::[a-p]{16})?\]")
_SHORT, _CLEAN_MAX = 80, 20_000
_GROUP = re.compile(r"\d+")
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


class Pattern(NamedTuple):
    """One kind of value. `hint`: a quick look; where it says no, `regex` would find nothing."""

    kind: str
    hint: Callable[[str], object]
    regex: re.Pattern[str]
    normal: Callable[[str], str | None]  # the value in its normal form; None: it only looks like one
    within: Callable[[re.Match[str]], Iterable[tuple[int, int]]] | None = (
        None  # where in what was found; None: all of it
    )

    def values(self, found: re.Match[str]) -> list[tuple[int, int, str]]:
        """Where the values stand in what the regex found, and their normal forms."""
        text = found[0]
        places = ((0, len(text)),) if self.within is None else self.within(found)
        told = ((start, end, self.normal(text[start:end])) for start, end in places)
        return [(start, end, normal) for start, end, normal in told if normal is not None]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _card(text: str) -> str | None:
    """Luhn (ISO/IEC 7812-1)."""
    digits = _digits(text)
    total = sum(
        digit if at % 2 == 0 else digit * 2 - (9 if digit > 4 else 0) for at, digit in enumerate(map(int, digits[::-1]))
    )
    return digits if total % 10 == 0 else None


def _cards(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Of a run of digits in groups, the groups in a row that together may be a card: 13 to 19 digits, by Luhn; the longest."""
    run, after = found[0], found.string[found.end() : found.end() + 2]
    groups = [group.span() for group in _GROUP.finditer(run)]
    if re.match(r"[\w-]|\.\d", after):
        groups.pop()
    at = 0
    while at < len(groups):
        start, last = groups[at][0], at
        if run[start] in "23456":
            for end in range(at, len(groups)):
                size = len(_digits(run[start : groups[end][1]]))
                if size > 19:
                    break
                if size >= 13 and _card(run[start : groups[end][1]]):
                    last = end + 1
        if last > at:
            yield start, groups[last - 1][1]
        at = max(last, at + 1)


def _iban(text: str) -> str | None:
    """ISO 13616: the rest modulo 97 is 1 (ISO 7064)."""
    plain = text.replace(" ", "").upper()
    number = int("".join(str(int(char, 36)) for char in plain[4:] + plain[:4]))
    return plain if number % 97 == 1 else None


def _phone(text: str) -> str | None:
    digits = _digits(text)
    return digits if 8 <= len(digits) <= 15 else None  # E.164


def _any_of(*words: str) -> Callable[[str], bool]:
    return lambda text: any(word in text for word in words)


_digits_in = re.compile(r"\d[\d ()./-]{5}").search
PATTERNS = (
    Pattern(
        "PRIVATE_KEY",
        _any_of("-----BEGIN "),
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        str.strip,
    ),
    Pattern("JWT", _any_of("eyJ"), re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), str.strip),
    Pattern(
        "SECRET",
        _any_of(
            "AKIA",
            "ASIA",
            "AIza",
            "sk-",
            "ghp_",
            "gho_",
            "ghu_",
            "ghs_",
            "ghr_",
            "github_pat_",
            "xox",
            "swk_",
            "earer ",
        ),
        re.compile(
            r"(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[0-9A-Z]{16}|AIza[\w-]{35}|sk-[\w-]{20,}|gh[pousr]_\w{30,}|github_pat_\w{30,}"
            r"|xox[abeprs]-[\w-]{10,}|swk_\w{20,}|(?<=earer )[\w.~+/-]{20,}=*)"
        ),
        str.strip,
    ),
    Pattern(
        "EMAIL",
        _any_of("@", "%40"),
        re.compile(r"(?<![\w.%+'-])[\w.+'-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
        str.lower,
    ),
    Pattern(
        "IBAN",
        re.compile(r"[A-Za-z]\d\d").search,
        re.compile(r"(?<!\w)[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?(?!\w)"),
        _iban,
    ),
    Pattern("CARD", _digits_in, re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,}+"), _card, _cards),
    Pattern(
        "PHONE",
        _digits_in,
        re.compile(
            r"(?<![\w+.-])(?:(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){6,14}"  # international
            r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}([ .-])\d{3}\1\d{4}"  # North American
            r"|0[1-9]\d{1,4}[ /-]\d{2,8}(?:[ -]?\d{2,8}){0,3})(?![\w-]|\.\d)"  # a trunk 0, as in most of Europe
        ),
        _phone,
    ),
)


class Masker:
    """The patterns of one tenant. `counts` of what was masked, by kind, are shared with whoever tells them."""

    def __init__(self, key: bytes, counts: Counter[str]) -> None:
        """`key` of this tenant; b"": tokens tell the kind alone."""
        self._key = key
        self._counts = counts
        self._clean: set[str] = set()  # short texts in which nothing was found: the same few come with every span

    def plain(self, text: str) -> str:
        """A text without structure, what the patterns find replaced. The very same text where they find nothing."""
        while self.finds(text):  # what one pattern took away may have hidden what another one finds
            for pattern in PATTERNS:
                if pattern.hint(text):
                    text = pattern.regex.sub(partial(self._tokens, pattern), text)
        return text

    def finds(self, text: str) -> bool:
        """Whether `plain` would replace anything."""
        if text in self._clean:
            return False
        found = any(
            pattern.values(found)
            for pattern in PATTERNS
            if pattern.hint(text)
            for found in pattern.regex.finditer(text)
        )
        if not found and len(text) <= _SHORT and len(self._clean) < _CLEAN_MAX:
            self._clean.add(text)
        return found

    def _tokens(self, pattern: Pattern, found: re.Match[str]) -> str:
        text, at, parts = found[0], 0, []
        for start, end, normal in pattern.values(found):
            parts += [text[at:start], self._token(pattern.kind, normal)]
            at = end
        return "".join([*parts, text[at:]])

    def _token(self, kind: str, normal: str) -> str:
        self._counts[kind] += 1
        if not self._key:
            return f"[{kind}]"
        mac = hmac.digest(self._key, f"{kind}\0{normal}".encode("utf-8", "replace"), "sha256")
        return f"[{kind}:{mac[:8].hex().translate(_LETTERS)}]"


def key_of(secret: bytes, tenant: str) -> bytes:
    """The key of a tenant's tokens; b"" without a secret."""
    return (
        hmac.digest(secret, b"stepwatch redaction\0" + tenant.encode("utf-8", "replace"), "sha256") if secret else b""
    )
