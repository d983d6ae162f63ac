"""What a running part says of its own readiness, asked from outside."""

import json
import urllib.error
import urllib.request
from http import HTTPStatus

ANSWER_S = 3.0
ANSWER_BYTES = 65_536


def reasons_against(address: str) -> tuple[str, ...]:
    """Why the part at this address says that it is not ready; none where it is, or has no `/readyz`.

    One that does not answer gives none either: its state as a process says that.
    """
    if not address.startswith("http"):
        return ()
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=ANSWER_S):  # noqa: S310 - http, see above
            return ()
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            return ()
        said = error.read(ANSWER_BYTES).decode("utf-8", "replace").strip()
    except (OSError, ValueError):
        return ()
    try:
        return tuple(json.loads(said)["reasons"])
    except (ValueError, KeyError, TypeError):
        return (said or "it does not say why",)
