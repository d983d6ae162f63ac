"""Workflow names by rule: which attributes of a run's spans make it which workflow, as `workflow_names` of the registry says.

The field that people want to override most: producers name workflows after themselves, or not at all (span-conventions 6.4).
A rule looks at the attributes of one span and of its resource; so decode must keep the values of just those keys (`marks_of`),
and `named_by` finds the first rule that holds for any span of the run. Pure: rules and marks give the name.
"""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from schemas.dialects.view import View
from schemas.otlp import InvalidOtlp, parse_resource

VALUE_CHARS_MAX: Final = 256  # of an attribute's value: what a rule can see of it
NAME_CHARS_MAX: Final = 200  # of a name that holds a value
PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
RESOURCE, SPAN = "resource", "span"
_CACHE_MAX: Final = 4_096

Marks = tuple[tuple[str, str, str], ...]  # (resource or span, key, value), of the keys that some rule looks at


class Watched(NamedTuple):
    """The keys that rules look at."""

    resource: frozenset[str]
    span: frozenset[str]


NOTHING: Final = Watched(frozenset(), frozenset())


class NamingRule(NamedTuple):
    """`workflow` is the name of a run of which one span fits all the globs: its own attributes and its resource's."""

    workflow: str  # may hold {key}: the value of one of the keys
    resource: Mapping[str, re.Pattern[str]]
    span: Mapping[str, re.Pattern[str]]


class NamedBy(NamedTuple):
    """A name, and what gave it."""

    workflow: str
    rule: int  # its place in the file, from 0
    marks: Marks  # what fitted


def make_rule(workflow: str, resource: Mapping[str, str], span: Mapping[str, str]) -> NamingRule:
    """A rule of these globs by key."""
    return NamingRule(
        workflow, *({key: re.compile(fnmatch.translate(g)) for key, g in of.items()} for of in (resource, span))
    )


def watched_by(rules: Iterable[NamingRule]) -> Watched:
    """What these rules look at; NOTHING where there are none."""
    found = list(rules)
    if not found:
        return NOTHING
    return Watched(
        frozenset(key for rule in found for key in rule.resource), frozenset(key for rule in found for key in rule.span)
    )


def marks_of(view: View, resource: bytes, watched: Watched) -> Marks:
    """What a span and its resource say under these keys. A value that cannot be read is left out, and the view flags it."""
    of_resource = resource_marks(resource, watched.resource) if watched.resource else ()
    if view.keys.isdisjoint(watched.span):
        return of_resource
    return (*of_resource, *_read(view, SPAN, watched.span))


def named_by(rules: Sequence[NamingRule], runs_marks: Iterable[Marks]) -> NamedBy | None:
    """The first rule that holds for any span, and of those the first span; spans in the order given. None: no rule does."""
    spans = [{(place, key): value for place, key, value in marks} for marks in dict.fromkeys(runs_marks) if marks]
    for index, rule in enumerate(rules):
        for said in spans:
            fitting = _fitting(rule, said)
            if fitting is not None and (name := _filled(rule.workflow, said)):
                return NamedBy(name, index, fitting)
    return None


def _fitting(rule: NamingRule, said: Mapping[tuple[str, str], str]) -> Marks | None:
    fitting = []
    for place, globs in ((RESOURCE, rule.resource), (SPAN, rule.span)):
        for key, glob in globs.items():
            value = said.get((place, key))
            if value is None or not glob.match(value):
                return None
            fitting.append((place, key, value))
    return tuple(fitting)


def _filled(workflow: str, said: Mapping[tuple[str, str], str]) -> str:
    def value(found: re.Match[str]) -> str:
        return said.get((SPAN, found[1])) or said.get((RESOURCE, found[1]), "")

    return PLACEHOLDER.sub(value, workflow).strip()[:NAME_CHARS_MAX] if "{" in workflow else workflow


_resources: Final[dict[tuple[bytes, frozenset[str]], Marks]] = {}


def resource_marks(resource: bytes, keys: frozenset[str]) -> Marks:
    """What a resource says under these keys, from one bounded cache. Raises InvalidOtlp."""
    known = _resources.get((resource, keys))
    if known is None:
        try:
            known = _read(View(parse_resource(resource).attributes, "", "", False), RESOURCE, keys)
        except DecodeError as error:
            raise InvalidOtlp(f"not an OTLP resource: {error}") from error
        if len(_resources) < _CACHE_MAX:
            _resources[resource, keys] = known
    return known


def _read(view: View, place: str, keys: frozenset[str]) -> Marks:
    said = ((key, view.text(key)) for key in sorted(keys & view.keys))
    return tuple((place, key, text[:VALUE_CHARS_MAX]) for key, text in said if text is not None)
