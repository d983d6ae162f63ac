"""JSON that is nested deeper than a reader takes: what lies too deep is cut out, so that its neighbours can be read.

Linear and without recursion, whatever the input. Only for documents that a reader refused; most never come here.
"""

import re

DEPTH_MAX = 200  # well above what OTLP needs (14 levels around a value, 4 a level of it), and below what readers take
CUT = b'"(nested too deeply)"'
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)


def shallow(document: bytes) -> bytes:
    """The document with everything below DEPTH_MAX levels replaced by a text that says so; the very same one when nothing is."""
    kept: list[bytes] = []
    depth = done = 0
    for token in _TOKEN.finditer(document):
        mark = token[0]
        if mark in (b"[", b"{"):
            depth += 1
            if depth == DEPTH_MAX + 1:
                kept.append(document[done : token.start()])
        elif mark in (b"]", b"}"):
            depth -= 1
            if depth == DEPTH_MAX:
                kept.append(CUT)
                done = token.end()
    return b"".join([*kept, document[done:]]) if done else document
