"""Rules that name workflows: what they look at, which one holds, and what a slip in them is told as."""

from typing import Any

import pytest

from schemas.config import ConfigError
from schemas.decode import decode
from schemas.naming import NOTHING, VALUE_CHARS_MAX, Marks, named_by
from schemas.registry import EMPTY, Registry, parse_registry
from schemas.span import BAD_VALUE
from tests.builders import EPOCH_MS
from tests.schemas.test_decode import raw


def registry(*rules: str) -> Registry:
    return parse_registry("workflow_names:\n" + "\n".join(f"  - {rule}" for rule in rules), "workflows.yaml")


def name_of(marks: Marks, *rules: str) -> str | None:
    found = named_by(registry(*rules).names, [marks])
    return found.workflow if found else None


def spans_marks(of: Registry, **attributes: Any) -> Marks:
    return decode(raw(attributes), "default", EPOCH_MS, watched=of.watched)[0].marks


PATH: Marks = (("resource", "service.name", "shop"), ("span", "http.route", "/refunds/7"))


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        ('{workflow: refund, span: {http.route: "/refunds/*"}}', "refund"),
        ('{workflow: refund, resource: {service.name: "s?op"}}', "refund"),
        ('{workflow: refund, resource: {service.name: shop}, span: {http.route: "*"}}', "refund"),
        ('{workflow: refund, resource: {service.name: desk}, span: {http.route: "*"}}', None),
        ("{workflow: refund, span: {service.name: shop}}", None),
        ('{workflow: refund, span: {http.route: "/refunds"}}', None),
        ('{workflow: refund, span: {http.route: "/REFUNDS/*"}}', None),
        ('{workflow: "{service.name}", resource: {service.name: "*"}}', "shop"),
        (
            '{workflow: "{service.name}: {http.route}", resource: {service.name: "*"}, span: {http.route: "*"}}',
            "shop: /refunds/7",
        ),
    ],
)
def test_a_rule_holds_where_one_span_fits_all_its_globs(rule: str, name: str | None) -> None:
    assert name_of(PATH, rule) == name


def test_two_spans_that_fit_half_a_rule_each_do_not_fit_it() -> None:
    rules = registry('{workflow: x, span: {a: "1", b: "2"}}').names
    assert named_by(rules, [(("span", "a", "1"),), (("span", "b", "2"),)]) is None
    assert named_by(rules, [(("span", "a", "1"), ("span", "b", "2"))]) is not None


def test_the_first_rule_of_the_file_wins_whatever_span_it_fits() -> None:
    rules = registry('{workflow: first, span: {a: "2"}}', '{workflow: second, span: {a: "1"}}').names
    found = named_by(rules, [(("span", "a", "1"),), (("span", "a", "2"),)])
    assert found == ("first", 0, (("span", "a", "2"),))


def test_an_empty_value_fits_a_star_and_gives_no_name() -> None:
    empty: Marks = (("span", "flow", ""),)
    assert name_of(empty, '{workflow: x, span: {flow: "*"}}') == "x"
    assert name_of(empty, '{workflow: "{flow}", span: {flow: "*"}}') is None


def test_decode_keeps_just_what_rules_look_at_of_the_span_and_its_resource() -> None:
    of = registry('{workflow: x, span: {flow: "*", n: "7"}}', '{workflow: y, resource: {service.version: "2.*"}}')
    assert spans_marks(of, flow="till", n=7, other="z", **{"service.version": "3"}) == (
        ("resource", "service.version", "2.1"),
        ("span", "flow", "till"),
        ("span", "n", "7"),
    )
    assert spans_marks(EMPTY, flow="till") == ()
    assert EMPTY.watched is NOTHING


def test_values_are_seen_up_to_a_bound() -> None:
    of = registry('{workflow: x, span: {flow: "*"}}')
    assert spans_marks(of, flow="x" * 10_000) == (("span", "flow", "x" * VALUE_CHARS_MAX),)


def test_a_value_that_cannot_be_read_is_no_mark_and_flags_the_span() -> None:
    of = registry('{workflow: x, span: {flow: "*"}}')
    spoilt = raw({"flow": "xxxx"})
    spoilt = spoilt._replace(span=spoilt.span.replace(b"\x0a\x04xxxx", b"\x2a\x04\x0a\xff\xff\xff"))
    span = decode(spoilt, "default", EPOCH_MS, watched=of.watched)[0]
    assert (span.marks, span.flags & BAD_VALUE) == ((), BAD_VALUE)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (
            "{workflow: refund}",
            "workflows.yaml:2: the rule for 'refund' looks at nothing; give it attributes under span or resource",
        ),
        ('{workflow: "{flo}", span: {flow: "*"}}', "did you mean 'flow'?"),
        ('{workflow: "{flow", span: {flow: "*"}}', "a brace in '{flow' is not closed"),
        ('{workflow: "", span: {flow: "*"}}', "at least 1 character"),
        ("{workflow: x, span: {flow: 7}}", "workflows.yaml:2: "),
        ('{workflow: x, spans: {flow: "*"}}', "did you mean 'span'?"),
        ('{span: {flow: "*"}}', "workflow"),
    ],
)
def test_slips_are_told_with_their_line(rule: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as told:
        registry(rule)
    assert sentence in str(told.value)
