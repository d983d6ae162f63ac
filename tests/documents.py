"""Every event that a test makes is held against the published documents: infra/asyncapi.yaml and the JSON Schema it refers to."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson
import yaml

INFRA = Path(__file__).parents[1] / "infra"


@cache
def asyncapi() -> dict[str, Any]:
    """The AsyncAPI document."""
    found: dict[str, Any] = yaml.safe_load((INFRA / "asyncapi.yaml").read_text())
    return found


@cache
def _validator(kind: str) -> tuple[Any, Any]:
    """Of the headers and of the payload of a kind of message."""
    message = next(m for m in asyncapi()["components"]["messages"].values() if m["name"] == kind)
    schemas = asyncapi()["components"]["schemas"]
    headers = {"components": {"schemas": schemas}, **message["headers"]}
    file, _, place = message["payload"]["$ref"].partition("#")
    payload = orjson.loads((INFRA / file).read_bytes())
    payload.pop("oneOf")
    payload["$ref"] = f"#{place}"
    return tuple(jsonschema_rs.validator_for(schema, validate_formats=True) for schema in (headers, payload))  # type: ignore[return-value]


def check_event(headers: Iterable[tuple[str, bytes]], value: bytes) -> str:
    """The type of an event as published; raises where the documents do not allow it."""
    told = {name: text.decode() for name, text in headers}
    of_headers, of_payload = _validator(told["ce_type"])
    of_headers.validate(told)
    of_payload.validate(orjson.loads(value))
    return told["ce_type"]
