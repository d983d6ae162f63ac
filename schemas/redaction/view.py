"""A text as the patterns see it: escapes read, odd spaces, dashes and digits as the plain ones.

`bob\\u0040example.org`, `bob%40example.org` and `bob&#64;example.org` are the same address, and a card number has the same digits
between no-break spaces. The view is for finding only; what is kept is the text itself, so each character of the view knows where
it stands there.
"""

import re
import sys
from collections.abc import Sequence

_ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u(?P<u>[0-9a-fA-F]{4})|x(?P<x>[0-9a-fA-F]{2})|(?P<c>[nrt\"'/]))"  # of JSON and of Python, nested too
    r"|%(?:25){0,4}(?P<p>[0-9a-fA-F]{2})"  # of URLs
    r"|&(?:#(?P<d>\d{2,6})|#[xX](?P<h>[0-9a-fA-F]{2,5})|(?P<e>amp|commat|nbsp|ndash|period|plus|quot));"  # of HTML
)
_NAMED = {
    "n": "\n", "r": "\r", "t": "\t",
    "amp": "&", "commat": "@", "nbsp": " ", "ndash": "-", "period": ".", "plus": "+", "quot": '"',
}  # fmt: skip
_SPACES = (0xA0, 0xAD, 0x1680, *range(0x2000, 0x200E), 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF)  # some without a width
_DASHES = (0x2010, 0x2011, 0x2012, 0x2013, 0x2212, 0xFE63, 0xFF0D)
_ZEROS = (
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xE50, 0xED0, 0xF20, 0x1040, 0x17E0,
    0x1810, 0xFF10,
)  # fmt: skip
_PLAIN = (
    {zero + n: str(n) for zero in _ZEROS for n in range(10)}
    | dict.fromkeys(_SPACES, " ")
    | dict.fromkeys(_DASHES, "-")
    | {0xFE6B: "@", 0xFF08: "(", 0xFF09: ")", 0xFF0B: "+", 0xFF0E: ".", 0xFF1A: ":", 0xFF1D: "=", 0xFF20: "@"}
)
_ODD = re.compile(f"[{''.join(map(chr, _PLAIN))}]")


def seen(text: str) -> tuple[str, Sequence[int] | None]:
    """The view, and where each of its characters stands in the text, its end too; None: at the same place."""
    at = None
    if ("\\" in text or "%" in text or "&" in text) and _ESCAPE.search(text):
        text, at = _unescaped(text)
    if not text.isascii() and _ODD.search(text):
        text = text.translate(_PLAIN)
    return text, at


def _unescaped(text: str) -> tuple[str, Sequence[int]]:
    parts: list[str] = []
    at: list[int] = []
    end = 0
    for found in _ESCAPE.finditer(text):
        parts += [text[end : found.start()], _char(found)]
        at += range(end, found.start() + 1)
        end = found.end()
    parts.append(text[end:])
    at += range(end, len(text) + 1)
    return "".join(parts), at


def _char(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    said = found[kind]
    if kind in ("c", "e"):
        return _NAMED.get(said, said)
    code = int(said, 10 if kind == "d" else 16)
    return chr(code) if code < 0xD800 or 0xDFFF < code <= sys.maxunicode else "\ufffd"
