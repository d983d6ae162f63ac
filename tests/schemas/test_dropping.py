"""What the registry drops before it is decoded."""

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as pb

from schemas.config import ConfigError
from schemas.item import items_of
from schemas.otlp import pack, split
from schemas.registry import parse_registry
from tests.builders import EPOCH_MS, span_id, trace_id
from tests.schemas.dialect_spans import pairs, raw

SPANS = [
    pb.Span(trace_id=trace_id(), span_id=span_id(n), name="look", start_time_unix_nano=1, end_time_unix_nano=2)
    for n in (1, 2)
]
SHOP = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="shop"))])
VALUE = pb.TracesData(
    resource_spans=[pb.ResourceSpans(resource=SHOP, scope_spans=[pb.ScopeSpans(spans=SPANS)])]
).SerializeToString()
RULES = [
    ("drop: [{tenant: loadtest}]", "loadtest", True),
    ("drop: [{tenant: loadtest}]", "default", False),
    ("drop: [{tenant: 'load*'}]", "loadtest", True),
    ("drop: [{resource: {service.name: 'sh*'}}]", "default", True),
    ("drop: [{resource: {service.name: desk}}]", "default", False),
    ("drop: [{resource: {service.name: shop, host.name: a}}]", "default", False),
    ("drop: [{tenant: loadtest, resource: {service.name: shop}}]", "default", False),
    ("drop: [{resource: {service.name: desk}}, {tenant: default}]", "default", True),
]


@pytest.mark.parametrize(("text", "tenant", "drops"), RULES)
def test_a_rule_holds_for_tenant_and_resource_together(text: str, tenant: str, drops: bool) -> None:
    taken = items_of(VALUE, tenant, 0, drops=parse_registry(text, "workflows.yaml").drops)
    assert (len(taken.items), taken.sampled_out, taken.refused) == ((0, 2, []) if drops else (2, 0, []))


def test_a_rule_that_looks_at_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="1: this rule would drop everything"):
        parse_registry("drop: [{}]", "workflows.yaml")


def test_what_a_rule_cannot_read_is_refused_by_decode_and_not_dropped() -> None:
    rules = parse_registry("drop: [{resource: {service.name: '*'}}]", "workflows.yaml").drops
    good, bad = split(VALUE)
    value = pack([good]) + pack([bad._replace(resource=b"\x0a\xff")])
    taken = items_of(value, "default", 0, drops=rules)
    assert (taken.sampled_out, len(taken.refused)) == (1, 1)


def test_our_own_telemetry_is_dropped_whatever_way_it_comes() -> None:
    for service, n in (("stepwatch-scorer", 0), ("stepwatch-demo", 1), ("shop", 1)):
        resource = Resource(attributes=pairs({"service.name": service})).SerializeToString()
        taken = items_of(
            pack([raw({"gen_ai.operation.name": "chat"})._replace(resource=resource)]), "default", EPOCH_MS
        )
        assert (len(taken.items), taken.sampled_out, taken.refused) == (n, 1 - n, [])
