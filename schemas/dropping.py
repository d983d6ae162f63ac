"""What is dropped before it is decoded, by the tenant of its record or the attributes of its resource: `drop` of the registry.

Nothing else is known of a span before it is read, and a workflow only when its root has come, which is too late. The law: rules,
tenant and resource alone decide, so that a record that comes again is dropped again. Pure.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.naming import resource_marks
from schemas.otlp import InvalidOtlp

# Parts of Stepwatch, by `service.name`: what judges is not judged, or its own telemetry would come round for ever.
OWN_SERVICES = frozenset(f"stepwatch-{part}" for part in ("gateway", "scorer", "alerter", "deliver"))


class DropRule(NamedTuple):
    """Drops what fits all that it says: the tenant, and attributes of the resource. It says at least one of them."""

    tenant: re.Pattern[str] | None
    resource: Mapping[str, re.Pattern[str]]


def make_drop(tenant: str | None, resource: Mapping[str, str]) -> DropRule:
    """A rule of these globs."""
    return DropRule(_glob(tenant) if tenant else None, {key: _glob(glob) for key, glob in resource.items()})


def is_dropped(rules: Sequence[DropRule], tenant: str, resource: bytes) -> bool:
    """Whether any rule holds. A resource that cannot be read fits none: decode refuses its spans, with the reason."""
    return any(
        (rule.tenant is None or rule.tenant.match(tenant) is not None) and _fits(rule.resource, resource)
        for rule in rules
    )


def _fits(globs: Mapping[str, re.Pattern[str]], resource: bytes) -> bool:
    if not globs:
        return True
    try:
        said = {key: value for _, key, value in resource_marks(resource, frozenset(globs))}
    except InvalidOtlp:
        return False
    return all(key in said and glob.match(said[key]) for key, glob in globs.items())


def _glob(text: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(text))
