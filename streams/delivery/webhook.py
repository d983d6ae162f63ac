"""The plain webhook: a CloudEvent in structured mode, signed after Standard Webhooks. Pure.

A repetition carries the same `webhook-id`, which is the event's id: receivers drop what they have seen.
"""

import base64
import binascii
import hashlib
import hmac

from schemas.structured_event import MEDIA_TYPE
from streams.delivery.message import Message, Request

SECRET_PREFIX = "whsec_"  # noqa: S105 (what a secret begins with)
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64


def request(message: Message, url: str, keys: tuple[bytes, ...], bearer: str | None, now_s: int) -> Request:
    """One event. Each key signs: while a secret is rotated, receivers may know either."""
    body = message.document()
    signatures = (sign(key, message.event.id, now_s, body) for key in keys)
    headers = {
        "content-type": MEDIA_TYPE,
        "webhook-id": message.event.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(signatures),
        **authorization(bearer),
    }
    return Request(url, headers, body)


def sign(key: bytes, id_: str, timestamp_s: int, body: bytes) -> str:
    """The signature over id, timestamp and body."""
    signed = f"{id_}.{timestamp_s}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def read_key(secret: str) -> bytes:
    """The key of a `whsec_...` secret. Raises ValueError with the cure, and without the secret."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(
            f"is no signing secret; it is {SECRET_PREFIX} and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes in base64, "
            "as `openssl rand -base64 32` makes them"
        )
    return key


def authorization(bearer: str | None) -> dict[str, str]:
    """The header of a bearer token, if there is one."""
    return {} if bearer is None else {"authorization": f"Bearer {bearer}"}
