"""Browser SDKs: which pages may send spans from a browser. Pure; without a list no page may, as browsers have it by default.

A key in a page is no secret: give such senders a key of their own, of a tenant that only they write to.
"""

from collections.abc import Mapping, Sequence

METHODS = "POST, OPTIONS"
HEADERS = "authorization, content-encoding, content-type, traceparent, tracestate"
MAX_AGE_S = "7200"


def answer_headers(origin: str | None, allowed: Sequence[str]) -> Mapping[str, str]:
    """What an answer to a request of this page carries; nothing where it may not send."""
    if not origin or not (origin in allowed or "*" in allowed):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def preflight_headers(origin: str | None, allowed: Sequence[str]) -> Mapping[str, str]:
    """What the question before a request is answered with; nothing where the page may not send."""
    granted = answer_headers(origin, allowed)
    if not granted:
        return {}
    asked = {
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Allow-Headers": HEADERS,
        "Access-Control-Max-Age": MAX_AGE_S,
    }
    return {**granted, **asked}
