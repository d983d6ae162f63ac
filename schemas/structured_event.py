"""A CloudEvent in structured mode: attributes and data in one JSON document, made of a record in binary mode.

The law: nothing is left out, fields that this version does not know included, and the same record gives the same bytes.
"""

from collections.abc import Iterable

import orjson

MEDIA_TYPE = "application/cloudevents+json"


def structured(headers: Iterable[tuple[str, bytes]], value: bytes) -> bytes:
    """The document of one record. Its value must be JSON."""
    told = {name: text.decode() for name, text in headers}
    attributes = {name.removeprefix("ce_"): text for name, text in told.items() if name.startswith("ce_")}
    content_type = told.get("content-type", "application/json")
    return orjson.dumps({**attributes, "datacontenttype": content_type, "data": orjson.Fragment(value)})
