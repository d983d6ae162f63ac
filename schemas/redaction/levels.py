"""How much of the content is kept, by tenant and by workflow, as the registry says it (docs/privacy.md)."""

import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Level = Literal["keep", "mask", "strict"]
LEVELS: tuple[Level, ...] = ("keep", "mask", "strict")  # each one keeps less than the one before it


def strictest(levels: Iterable[Level]) -> Level:
    """Of several levels the one that keeps least; `keep` of none."""
    return max(levels, key=LEVELS.index, default="keep")


class TenantLevels(NamedTuple):
    """`redaction` of the registry."""

    exact: Mapping[str, Level] = {}
    globs: tuple[tuple[re.Pattern[str], Level], ...] = ()  # in the order of the file
    allow: re.Pattern[str] | None = None  # attribute keys that `strict` keeps besides its own

    def of(self, tenant: str) -> Level:
        """The level of a tenant: by its name, else by the first glob that matches it, else `keep`."""
        found = self.exact.get(tenant)
        if found is not None:
            return found
        return next((level for glob, level in self.globs if glob.match(tenant)), "keep")

    @property
    def levels(self) -> set[Level]:
        """All that some tenant may have."""
        return {"keep", *self.exact.values(), *(level for _, level in self.globs)}


def tenant_levels(tenants: Mapping[str, Level], allow: Iterable[str]) -> TenantLevels:
    """The levels of these names and globs, and the globs of keys that `strict` keeps."""
    allowed = "|".join(fnmatch.translate(glob) for glob in allow)
    globs = tuple((re.compile(fnmatch.translate(n)), level) for n, level in tenants.items() if re.search(r"[*?\[]", n))
    return TenantLevels(dict(tenants), globs, re.compile(allowed) if allowed else None)


NO_TENANT = TenantLevels()  # nothing is said of any
