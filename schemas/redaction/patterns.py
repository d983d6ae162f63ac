"""What `mask` looks for in a text, and the token that takes its place.

    [EMAIL:kdmajgpobnchelif]    [CARD]

A token names its kind. With a secret it also holds 64 bits of HMAC-SHA256 of the value in its normal form, under a key of its
tenant: equal values have equal tokens within a tenant, and nobody without the secret can try values out. The bits are letters,
so that no pattern finds anything in a token: redacting twice is redacting once.
"""

import hmac
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from schemas.redaction.credentials import JWT, NAMED_SECRET, PRIVATE_KEY, SECRET
from schemas.redaction.numbers import CARD, IBAN, NAMED_PHONE, PHONE, PRINTED_CARD
from schemas.redaction.pattern import Pattern, any_of, hinted
from schemas.redaction.view import seen

WHOLE = "[REDACTED]"  # stands for content that is not kept at all
TOKEN = re.compile(r"\[[A-Z_]{3,20}(?::[a-p]{16})?\]")
_SHORT, _CLEAN_MAX, _KEYS_MAX = 80, 20_000, 4_096
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")

_WORD = r"\w\u0300-\u036f\u0900-\u0dff\u0e00-\u0eff"  # marks that many scripts write over their letters are no \w
_LOCAL_MAX = 254
_LOCAL_BACKWARDS = re.compile(rf"[{_WORD}.+'-]+|\"[^\"\\\n@]{{1,64}}\"")


def _addresses(found: re.Match[str]) -> Iterator[tuple[int, int]]:
    """From the @ back to where the local part begins: few texts have one, and most words come before none."""
    local = _LOCAL_BACKWARDS.match(found.string[max(0, found.start() - _LOCAL_MAX) : found.start()][::-1])
    size = len(local[0].rstrip(".'")) if local else 0
    if size:
        yield found.start() - size, found.end()


EMAIL = Pattern(
    "EMAIL",
    any_of("@"),
    re.compile(rf"@(?:[{_WORD}-]{{1,63}}(?:\.[{_WORD}-]{{1,63}}){{1,8}}|\[(?:IPv6:)?[0-9a-fA-F.:]{{3,45}}\])"),
    str.lower,
    _addresses,
)
PATTERNS = (PRIVATE_KEY, JWT, SECRET, NAMED_SECRET, EMAIL, IBAN, CARD, PRINTED_CARD, PHONE, NAMED_PHONE)
NAMED = (NAMED_SECRET, NAMED_PHONE)


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
            text = self._replaced(PATTERNS, text)
        return text

    def named(self, key: str, text: str) -> str:
        """The value of a key, replaced where its name says what it is: digits are a telephone under `phone`."""
        return self._replaced(NAMED, f"{key}: {text}", len(key) + 2)[len(key) + 2 :] if _names(key) else text

    def finds(self, text: str) -> bool:
        """Whether `plain` would replace anything."""
        if text in self._clean:
            return False
        view, _ = seen(text)
        found = any(pattern.finds(view) for pattern in hinted(PATTERNS, view))
        if not found and len(text) <= _SHORT and len(self._clean) < _CLEAN_MAX:
            self._clean.add(text)
        return found

    def _replaced(self, patterns: Iterable[Pattern], text: str, after: int = 0) -> str:
        """The text with tokens for the values that begin behind `after`."""
        for pattern in hinted(patterns, seen(text)[0]):
            view, places = seen(text)
            parts, at = [], 0
            for start, end, normal in pattern.values(view):
                if places is not None:
                    start, end = places[start], places[end]
                if start >= after:
                    parts += [text[at:start], self._token(pattern.kind, normal)]
                    at = end
            text = "".join([*parts, text[at:]]) if parts else text
        return text

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


@lru_cache(maxsize=_KEYS_MAX)
def _names(key: str) -> bool:
    """Whether this key may name a value: one that would be found behind it."""
    samples = (f"{key}: 0123456789abcdef", f"{key}: 0123456789")
    return any(pattern.finds(text) for text in samples for pattern in hinted(NAMED, text))
