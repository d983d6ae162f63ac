"""Python's `repr` of plain data, read: what producers log in the place of JSON, `{'id': 1, 'x': None, 'y': True}`.

The law: nothing is evaluated and nothing recurses. The tokens are rewritten as JSON in one pass, and orjson reads that; a
text that is anything but dicts, lists, tuples, strings, numbers and the three constants is not read at all.
"""

import re
from typing import Any, Final

import orjson

CHARS_MAX: Final = 65_536  # as long as decode lets a value be
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<text>'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*")
      | (?P<word>True|False|None|true|false|null)\b
      | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
      | (?P<mark>[{}\[\](),:])
    )""",
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final = {"True": "true", "False": "false", "None": "null"}
_MARKS: Final = {"(": "[", ")": "]"}
_CLOSING: Final = frozenset("]}")
_ESCAPE: Final = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}


class NotARepr(ValueError):
    """The text is no repr of plain data."""


def read_repr(text: str) -> Any:
    """The value of which this text is the repr, tuples as lists and keys as texts. Raises NotARepr."""
    if len(text) > CHARS_MAX:
        raise NotARepr(f"longer than {CHARS_MAX} characters")
    try:
        return orjson.loads("".join(_as_json(text)))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, ValueError, OverflowError) as error:
        raise NotARepr(str(error)) from error


def _as_json(text: str) -> list[str]:
    out: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        token = _TOKEN.match(text, at)
        if token is None:
            raise NotARepr(f"unreadable at character {at}")
        at = token.end()
        said, sort = token[token.lastgroup or 0], token.lastgroup
        if sort == "text":
            said = _text(said[1:-1])
        elif sort == "word":
            said = _WORDS.get(said, said)
        elif sort == "mark":
            said = _MARKS.get(said, said)
            if said in _CLOSING and out and out[-1] == ",":
                out.pop()  # (1,)
            elif said == ":" and out and out[-1][0] not in '"{}[],:':
                out[-1] = f'"{out[-1]}"'  # JSON has no keys but texts
        out.append(said)
    return out


def _text(inside: str) -> str:
    if "\\" in inside:
        inside = _ESCAPE.sub(_unescaped, inside)
    return orjson.dumps(inside).decode()


def _unescaped(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _ESCAPED.get(escape[4], escape[4])
