"""Texts that stand in the place of a result and say that there is none (rule E6 of the span conventions).

The law: only the anchored start of a text is read. The word "error" further on, or in a sentence about errors, is data.
"""

import re
from typing import Final

_ANCHOR_CHARS: Final = 200
_ERROR: Final = re.compile(
    r"""
    \[?err(?:or)?\]?(?::|\s+[-\u2013\u2014]\s|\s*\(|\s+(?:code\s*)?[45]\d\d\b|$)
  | error\ (?:executing|invoking|running|calling|occurred|while)\ | \[error\]
  | (?:an?\ )?(?:unexpected\ |unhandled\ |internal\ )?(?:error|exception)\ (?:has\ )?occurred
  | exception: | (?:uncaught|unhandled)\ \w*(?:exception|error) | traceback\ \(most\ recent\ call\ last\) | fatal(?::|\ error)
  | tool\ error | failed\ to\  | internal\ server\ error | bad\ gateway | service\ unavailable | gateway\ timeout
  | http(?:/\d(?:\.\d)?)?\ (?:error|(?:status\ (?:code\ )?)?[45]\d\d\b) | status(?:\ code)?:?\ [45]\d\d\b
  | [45]\d\d[:\s-]+(?:client\ error|server\ error|bad\ request|unauthorized|forbidden|not\ found|conflict|too\ many\ requests)\b
  | [45]\d\d[:\s-]+(?:internal\ server\ error|bad\ gateway|service\ unavailable|gateway\ timeout)\b
  | (?:the\ )?(?:tool|function|api|request|operation|execution|query|call)(?:\ \w+)?\ (?:has\ )?(?:failed|timed\ out|errored)\b
  | (?:connection|read|request)\ (?:refused|reset|aborted|timed\ out)\b | (?:permission|access)\ denied
  | (?:unauthorized|forbidden|too\ many\ requests)(?::|\W*$) | (?:timeout|timed\ out)\W*$
  # Sentences that frameworks put in the place of a result.
  | an\ error\ occurred\ while\ running\ the\ tool | i\ encountered\ an\ error | i\ tried\ reusing\ the\ same\ input
  | you\ tried\ to\ use\ the\ tool\ .*\ but\ it\ doesn't\ exist
  | unknown\ tool | tool\ .{1,80}\ (?:not\ found|execution\ failed)
    """,
    re.IGNORECASE | re.VERBOSE,
)
_FIRST: Final = frozenset("[45" + "abcefghiopqrstuy" + "abcefghiopqrstuy".upper())  # what one of them can begin with
_RAISED: Final = re.compile(
    r"<?(?:\w+\.)*[A-Z]\w*(?:Error|Exception)\b[>']*\s*(?::|\()"
)  # ValueError: no; a.b.HTTPError(...)
_NOT_A_TOOL: Final = re.compile(r".{1,80} is not a valid tool, try one of")
# A failure to act, or the answer to a question ("could not find such an order")? Never more than suspect.
_DOUBTFUL: Final = re.compile(r"(?:could not|couldn't|cannot|can't|unable to) ", re.IGNORECASE)
_DOUBTFUL_FIRST: Final = frozenset("cuCU")
# An object that was cut, or is no JSON for another reason, and begins as an error does.
_BROKEN_OBJECT: Final = re.compile(
    r"""\{\s*["'](?:error|exception|error_message|errorMessage)["']\s*:\s*["'{\[](?!["'}\]]|none|null|no error)""",
    re.IGNORECASE,
)


def error_text(text: str) -> str:
    """The start of a text that says that the call failed; "" when it does not."""
    start = text[:_ANCHOR_CHARS].strip()
    first = start[:1]
    if first == "{":
        return start if _BROKEN_OBJECT.match(start) else ""
    if first in _FIRST and _ERROR.match(start):
        return start
    if ("Error" in start or "Exception" in start) and _RAISED.match(start):
        return start
    return start if " is not a valid tool" in start and _NOT_A_TOOL.match(start) else ""


def doubtful_text(text: str) -> str:
    """The start of a text that may say so; "" when it does not."""
    start = text[:_ANCHOR_CHARS].lstrip()
    return start if start[:1] in _DOUBTFUL_FIRST and _DOUBTFUL.match(start) else ""
