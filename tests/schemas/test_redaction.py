"""Redaction: what is found and what is not, that it is idempotent and closed, and that it accuses nobody."""

import json
import string
import time
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from schemas.decode import decode
from schemas.decode_log import decode_log
from schemas.otlp import InvalidOtlp, parse_resource, parse_span, text_of
from schemas.pyrepr import read_repr
from schemas.redaction.patterns import TOKEN, WHOLE, Masker, key_of
from schemas.redaction.redactor import Redactor, redactor_of
from schemas.redaction.values import masked, masked_text
from schemas.redaction.view import seen
from schemas.registry import EMPTY, UNREADABLE, Registry, parse_registry
from schemas.span import REDACTED, RawSpan, Span
from schemas.toolcall import read_call
from tests.builders import EPOCH_MS
from tests.otlp_logs import log
from tests.schemas.dialect_spans import CHAT, TOOL, pairs, raw

SECRET = b"a secret of some length"
FOUND = {
    "write to bob.o'neil@example.co.uk, please": "EMAIL",
    "bob%40example.org": "EMAIL",
    "jürgen@müller.example": "EMAIL",
    "4111 1111 1111 1111": "CARD",
    "5500-0000-0000-0004": "CARD",
    "378282246310005": "CARD",
    "2024 4111 1111 1111 1111": "CARD",
    "4111111111111111 12": "CARD",
    "12 34 4111-1111-1111-1111 5": "CARD",
    "DE89 3704 0044 0532 0130 00": "IBAN",
    "GB29NWBK60161331926819": "IBAN",
    "call +49 170 1234567": "PHONE",
    "(415) 555-2671": "PHONE",
    "415-555-2671": "PHONE",
    "0171 1234567": "PHONE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl": "JWT",
    "AKIAIOSFODNN7EXAMPLE": "SECRET",
    "Authorization: Bearer 0123456789abcdefghij": "SECRET",
    "ghp_0123456789abcdefghijABCDEFGHIJ": "SECRET",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "PRIVATE_KEY",
    "-----BEGIN PRIVATE KEY-----\nMIIE and then it was cut": "PRIVATE_KEY",
    "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----": "PRIVATE_KEY",
    # The same in other writings.
    "4111\u00a01111\u202f1111\u20111111": "CARD",
    "4111\u20131111\u20131111\u20131111": "CARD",
    "4111.1111.1111.1111": "CARD",
    "4111 - 1111 - 1111 - 1111": "CARD",
    "4111_1111_1111_1111": "CARD",
    "4111\t1111\t1111\t1111": "CARD",
    "4111 1111\n1111 1111": "CARD",
    "3782.822463.10005": "CARD",
    "\uff14\uff11\uff11\uff11 1111 1111 \u0661\u0661\u0661\u0661": "CARD",
    "2223003122003222": "CARD",
    "卡号4111111111111111。": "CARD",
    "4111111111111111.00": "CARD",
    "4111-1111-1111-1111-": "CARD",
    "4111%201111%201111%201111": "CARD",
    "'bob@example.org'": "EMAIL",
    "bob+tag@example.org": "EMAIL",
    '"bob smith"@example.org': "EMAIL",
    "bob@[192.168.1.1]": "EMAIL",
    "jose\u0301@example.org": "EMAIL",
    "bob\uff20example.org": "EMAIL",
    "डेटा@डेटामेल.भारत": "EMAIL",
    "%bob@example.org": "EMAIL",
    "q=%22bob@example.org": "EMAIL",
    "bob%2540example.org": "EMAIL",
    "bob&#64;example.org": "EMAIL",
    f"reply+{'0123456789abcdef.' * 6}@reply.example.org": "EMAIL",
    r"to:\nbob\u0040example.org": "EMAIL",
    "BE68 5390 0754 7034 paid": "IBAN",
    "AT61 1904 3002 3457 3201 bitte": "IBAN",
    "in 12 days to BE68539007547034": "IBAN",
    "DE89-3704-0044-0532-0130-00": "IBAN",
    "DE89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000": "IBAN",
    "帳戶DE89370400440532013000": "IBAN",
    "+49\u00a0170\u20111234567": "PHONE",
    "%2B14155552671": "PHONE",
    "1-415-555-2671": "PHONE",
    "+49 170 1234567x12": "PHONE",
    "(020) 7946 0958": "PHONE",
    "01 23 45 67 89": "PHONE",
    "06-12345678": "PHONE",
    "電話は03-1234-5678です": "PHONE",
    "01701234567": "PHONE",
    "138 0013 8000": "PHONE",
    "phone: 4155552671": "PHONE",
    "Tel. no = 4155552671": "PHONE",
    r"{\"phone_number\": \"4155552671\", ...": "PHONE",
    "?id_token=_eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl": "JWT",
    "eyJlbmMiOiJBMjU2R0NNIn0..aXZpdml2aXY.Y2lwaGVy.dGFn": "JWT",
    "AIzaSyA1234567890abcdefghijklmnopqrstuvw": "SECRET",
    "sk_live_0123456789abcdefghij": "SECRET",
    "glpat-0123456789abcdefghij": "SECRET",
    "SG.abcdefghijklmnopqrstuv.abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG": "SECRET",
    "xapp-1-A0123456789-0123456789-abcdef": "SECRET",
    "ya29.a0AfH6SMBabcdefghijklmnop": "SECRET",
    "hf_abcdefghijklmnopqrstuvwxyzABCDEFGH": "SECRET",
    "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789": "SECRET",
    "AUTHORIZATION: BEARER 0123456789abcdefghij": "SECRET",
    "authorization=bearer%200123456789abcdefghij": "SECRET",
    "Authorization: Basic dXNlcjpwYXNzd29yZDE=": "SECRET",
    "x-api-key: 0123456789abcdef0123456789abcdef": "SECRET",
    "https://example.org/?token=0123456789abcdef0123&page=2": "SECRET",
    "https://example.org/?sv=2024&sig=0123456789%2Babcdef%3D": "SECRET",
    "aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY": "SECRET",
    r"{\"OPENAI_API_KEY\": \"0123456789abcdef\", ...": "SECRET",
}
NOT_FOUND = (
    "2026-11-26 12:30:00", "2026-11-26T12:30:00.123456Z", "order 1234567890123", "1790000000000", "192.168.100.200",
    "550e8400-e29b-41d4-a716-446655440000", "4111 1111 1111 1112", "amount 1234.56", "v1.2.3-rc.4", "05/2026", "a @ b",
    "FR12 ABCD EFGH IJKL", "C-1042", "O-20417", "@mention", "85 %", "{}", "",
    "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "thread_4111111111111111",
    "call_4111111111111111", "0.4111111111111111", "4111111111111111abc", "20101012094134", "2004 1991 2014 2015",
    "2019/2020/2021/2022", "2024-01-07 2024-02-05 2025-03-13", "4155552671", "1790000000", "1790000000000000000", "01-02-2026",
    "01:23:45:67:89:ab", "page_token=0123456789abcdef0123", "max_tokens: 4096", "token: customer_service_agent",
    "hotel: 12345678",    "monkey: 0123456789abcdef", "phone_id: 4155552671", "user@localhost", "20 %40 off",
    "C:\\new\\table", "sk-learn", "Bearer of bad news",
    "978-3-16-148410-0", "26/Nov/2026:12:30:00 +0100", "San Francisco, CA 94105-1234",
)  # fmt: skip
secrets = st.sampled_from(sorted(FOUND))
words = st.text(string.ascii_letters + " ,;\n\"'{}[]:é中", max_size=20)
texts = st.lists(st.one_of(words, secrets, st.just(WHOLE)), max_size=6).map(" ".join)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), texts, st.just(4111111111111111)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def masker(secret: bytes = SECRET, tenant: str = "t") -> Masker:
    return Masker(key_of(secret, tenant), Counter())


def registry(**said: Any) -> Registry:
    return parse_registry(json.dumps(said), "workflows.yaml")


def redactor(level: str, **said: Any) -> Redactor:
    found = redactor_of(registry(redaction={"tenants": {"*": level}, **said}), SECRET)
    assert found is not None
    return found


def read(raw_span: RawSpan, redactor: Redactor | None) -> Span:
    return decode(raw_span, "default", EPOCH_MS, redactor=redactor)[0]


def values(raw_span: RawSpan, redactor: Redactor, tenant: str = "default") -> dict[str, str | None]:
    kept, _ = redactor.span(raw_span, tenant)
    return {key: text_of(bytes(value)) for key, value in parse_span(kept.span).attributes.items()}


@pytest.mark.parametrize(("text", "kind"), FOUND.items())
def test_a_pattern_finds_its_values_and_nothing_around_them(text: str, kind: str) -> None:
    for said in (text, f"before {text} after", json.dumps({"a": text}), json.dumps([{"b": json.dumps({"c": text})}])):
        found = masked_text(said, masker())
        assert f"[{kind}:" in found
        assert TOKEN.sub("", found).count("@") == 0
        assert len(TOKEN.findall(found)) == 1


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert masked_text(text, masker()) == text


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"phone": 4155552671}, "PHONE"),
        ({"Mobile": "4155552671"}, "PHONE"),
        ({"contact": {"phone_numbers": ["4155552671"], "phone": ["4155552671"]}}, "PHONE"),
        ({"headers": {"X-Api-Key": ["0123456789abcdef"]}}, "SECRET"),
        ({"client_secret": "0123456789abcdef"}, "SECRET"),
        ({"card": 4111111111111111.0}, "CARD"),
        ([4111111111111111], "CARD"),
        ({"4111 1111 1111 1111": 1}, "CARD"),
        ({"bob@example.org": {"bob@example.org": True}}, "EMAIL"),
    ],
)
def test_values_are_found_by_their_keys_as_numbers_and_as_keys(said: Any, kind: str) -> None:
    text = json.dumps(said)
    for found in (
        masked_text(text, masker()),
        masked_text(f"said: {text}", masker()),
        masked_text(repr(said), masker()),
    ):
        assert f"[{kind}:" in found


def test_an_attribute_says_by_its_key_what_it_holds() -> None:
    said = raw(
        {
            **TOOL,
            "customer.phone": "4155552671",
            "order.number": "4155552671",
            "http.request.header.x-api-key": "0123456789abcdef",
        }
    )
    kept = values(said, redactor("mask"))
    assert (kept["customer.phone"] or "").startswith("[PHONE:")
    assert (kept["http.request.header.x-api-key"] or "").startswith("[SECRET:")
    assert kept["order.number"] == "4155552671"


def test_what_stands_twice_under_a_key_hides_nothing() -> None:
    assert masked_text('{"a": "bob@example.org", "a": "x"}', masker()) == '{"a":"x"}'
    assert masked_text(r'{"a": "\u0062ob@example.org", "a": "x"}', masker()) == '{"a":"x"}'
    assert masked_text(r'{"a": "\n", "a": "x"}', masker()) == r'{"a": "\n", "a": "x"}'
    twice = AnyValue()
    for text in ("bob@example.org", "x"):
        twice.kvlist_value.values.add(key="a").value.string_value = text
    assert b"bob" not in masked(twice.SerializeToString(), masker())


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (AnyValue(double_value=4111111111111111.0), "CARD"),
        (AnyValue(int_value=4111111111111111), "CARD"),
        (AnyValue(bytes_value=b"I am bob@example.org"), "EMAIL"),
        (AnyValue(bytes_value=b"\xff bob@example.org"), "EMAIL"),
        (AnyValue(array_value={"values": [AnyValue(bytes_value=b'{"mail": "bob@example.org"}')]}), "EMAIL"),
    ],
)
def test_a_value_of_any_type_is_looked_at(value: AnyValue, kind: str) -> None:
    found = masked(value.SerializeToString(), masker())
    assert f"[{kind}:".encode() in found
    assert b"bob" not in found and masked(found, masker()) == found


@pytest.mark.parametrize(
    "value",
    [
        AnyValue(double_value=0.5),
        AnyValue(double_value=float("nan")),
        AnyValue(double_value=float("-inf")),
        AnyValue(bytes_value=b"\x41\x11\x11\x11\xff"),
        AnyValue(array_value={"values": [AnyValue(), AnyValue(bool_value=True), AnyValue(int_value=7)]}),
    ],
)
def test_what_holds_nothing_stays_as_it_is_to_the_byte(value: AnyValue) -> None:
    assert masked(value.SerializeToString(), masker()) == value.SerializeToString()


@pytest.mark.parametrize(
    "unit",
    ["3-", "44 ", "4111-", "-eyJ", "eyJ-", "eyJaaaaaaaaaa.", "a.", "a'", "a@", '"@', "AB12", "+1 ", "(0", "api_key: ", "token=a",
     "\\", "%25", "&#1", "-----BEGIN ", "_sk-", "SG.aaaaaaaaaaaaaaaa", "4444\n", "0 "],
)  # fmt: skip
def test_no_text_makes_the_patterns_slow(unit: str) -> None:
    text = unit * (64 * 1024 // len(unit))
    before_s = time.thread_time()
    masked_text(text, masker())
    assert time.thread_time() - before_s < 1, "64 KiB, the largest value that is kept: some 0.1 s at most"


def test_equal_values_have_equal_tokens_within_a_tenant_and_secret_alone() -> None:
    def token(text: str, **of: Any) -> str:
        return masked_text(text, masker(**of))

    assert token("BOB@example.org") == token("bob@example.org") != token("ann@example.org")
    assert token("4111 1111 1111 1111") == token("4111111111111111") == token("4111\u00a01111.1111\u20131111")
    assert token("'bob@example.org'").strip("'") == token("bob%40example.org") == token(r"\nbob\u0040example.org")[2:]
    assert token("+49 170 1234567x12") == token("+49 (170) 123 45 67")
    assert token("bob@example.org", tenant="u") != token("bob@example.org")
    assert token("bob@example.org", secret=b"another secret of it") != token("bob@example.org")
    assert token("bob@example.org", secret=b"") == "[EMAIL]"


@given(json_values)
def test_json_stays_json_and_a_repr_stays_one(value: Any) -> None:
    found = orjson.loads(masked_text(orjson.dumps([value]).decode(), masker()))
    assert type(found[0]) is type(value) or isinstance(value, int)
    printed = repr([value])
    try:
        read_repr(printed)
    except ValueError:
        return
    read_repr(masked_text(printed, masker()))


@given(st.one_of(texts, json_values.map(lambda v: orjson.dumps(v).decode()), json_values.map(repr)))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = masked_text(text, masker())
    assert masked_text(once, masker()) == once
    assert not masker().finds(once)


@given(
    st.dictionaries(st.sampled_from(["gen_ai.input.messages", "note", "gen_ai.tool.call.result"]), json_values), secrets
)
def test_no_secret_passes_and_every_level_is_idempotent(attributes: dict[str, Any], secret: str) -> None:
    said = raw(
        {**TOOL, **{k: json.dumps(v) for k, v in attributes.items()}, "arr": [secret, {"k": secret}], secret: secret},
        name=f"pay {secret}",
        events={"exception": {"exception.message": secret, "exception.type": "E"}},
        status=Status(code=Status.STATUS_CODE_ERROR, message=secret),
    )
    for level in ("mask", "strict"):
        chosen = redactor(level)
        kept, flags = chosen.span(said, "default")
        assert flags == REDACTED
        assert not masker().finds(kept.span.decode("utf-8", "replace"))
        assert chosen.span(kept, "default")[0] == kept


@given(secrets, st.integers(1, 4), st.booleans(), st.sampled_from(["said: ", "{half ", "data: "]))
def test_no_depth_of_escapes_hides_a_value(secret: str, depth: int, ascii_only: bool, before: str) -> None:
    text = secret
    for _ in range(depth):
        text = json.dumps({"note": f"it is\n{text}\tthere"}, ensure_ascii=ascii_only)
    found = masked_text(before + text, masker())
    assert f"[{FOUND[secret]}:" in found and "@" not in TOKEN.sub("", found)
    assert found.startswith(f'{before}{{"note": "it is')


@given(st.text(st.sampled_from("\\u004%25&#;@nx \u00a0\uff11aé"), max_size=40))
def test_a_view_knows_where_each_of_its_characters_stands(text: str) -> None:
    view, places = seen(text)
    if places is None:
        assert len(view) == len(text)
    else:
        assert len(places) == len(view) + 1
        assert sorted(set(places)) == list(places)
        assert (places[0], places[-1]) == (0, len(text))


def test_links_and_trace_state_go() -> None:
    said = raw(TOOL)
    message = OtlpSpan.FromString(said.span)
    message.trace_state = "user=bob@example.org"
    message.links.add(trace_id=bytes(16), attributes=pairs({"who": "bob@example.org"}))
    kept, _ = redactor("mask").span(said._replace(span=message.SerializeToString()), "default")
    assert b"bob" not in kept.span


def test_strict_keeps_structure_and_names_what_it_took() -> None:
    said = raw(
        {
            **TOOL,
            "gen_ai.tool.call.arguments": '{"name": "Bob"}',
            "gen_ai.tool.call.result": '{"ok": true}',
            "gen_ai.tool.call.id": "c1",
            "customer": "Bob",
            "my.state": "open",
            "http.route": "/refunds/7",
            "metadata": json.dumps({"langgraph_node": "cashier", "customer": "Bob"}),
        }
    )
    chosen = redactor_of(
        registry(
            redaction={"tenants": {"default": "strict"}, "allow": ["my.*"]},
            workflow_names=[{"workflow": "refund", "span": {"http.route": "/refunds/*"}}],
        ),
        SECRET,
    )
    assert chosen is not None
    kept = values(said, chosen)
    assert kept["gen_ai.tool.call.arguments"] == kept["gen_ai.tool.call.result"] == WHOLE
    assert kept["gen_ai.tool.call.id"] == "c1"
    assert (kept["my.state"], kept["http.route"]) == ("open", "/refunds/7")
    assert json.loads(kept["metadata"] or "") == {"langgraph_node": "cashier"}
    assert "customer" not in kept
    assert chosen.counts["content"] == 2
    assert values(said, chosen, tenant="another")["customer"] == "Bob"


def test_strict_tells_that_a_call_failed_and_nothing_else_of_it() -> None:
    swallowed = raw({**TOOL, "gen_ai.tool.call.result": '{"error": "Bob is not known"}'})
    call = read_call(read(swallowed, redactor("strict")))
    assert call.failure is not None and call.failure.swallowed and "Bob" not in call.failure.message
    named = read(raw({**TOOL, "error.type": "LookupError: Bob is not known"}), redactor("strict"))
    assert named.error_type == "LookupError"
    cancelled = raw(TOOL, status=Status(code=Status.STATUS_CODE_ERROR, message="CancelledError: Bob hung up"))
    span = read(cancelled, redactor("strict"))
    assert span.status_message == f"CancelledError {WHOLE}"
    handled = read_call(span).failure
    assert handled is not None and handled.severity == "handled"


def test_a_span_has_the_stricter_level_of_tenant_and_workflow() -> None:
    said = {**CHAT, "gen_ai.input.messages": "[]", "customer": "Bob", "mail": "bob@example.org"}
    chosen = redactor_of(
        registry(
            redaction={"tenants": {"careful": "mask"}},
            workflows=[{"name": "bank", "redaction": "strict"}, {"name": "shop"}],
            workflow_names=[{"workflow": "bank", "span": {"desk": "7"}}],
        ),
        SECRET,
    )
    assert chosen is not None
    for workflow, tenant, customer, mail in (
        ("shop", "default", "Bob", "bob@example.org"),
        ("shop", "careful", "Bob", "[EMAIL:"),
        ("bank", "careful", None, None),
        ("bank", "default", None, None),
    ):
        found = values(raw({**said, "gen_ai.workflow.name": workflow}), chosen, tenant)
        assert found.get("customer") == customer
        assert (found.get("mail") or "").startswith(mail or "") and (mail is None) == ("mail" not in found)
    assert "customer" not in values(raw(said), chosen), "a span that names no workflow may belong to the strictest"
    assert "customer" not in values(raw({**said, "gen_ai.workflow.name": "shop", "desk": "7"}), chosen)


def test_keep_costs_nothing_and_an_unreadable_registry_keeps_nothing() -> None:
    assert redactor_of(EMPTY, SECRET) is None
    assert redactor_of(registry(workflows=[{"name": "shop"}]), SECRET) is None
    closed = redactor_of(UNREADABLE, b"")
    assert closed is not None and "customer" not in values(raw({**CHAT, "customer": "Bob"}), closed)


def test_what_cannot_be_redacted_is_not_kept() -> None:
    said = raw(
        {**CHAT, "note": "bob@example.org", "gen_ai.agent.name": "Bob Miller <bob@example.org>"}, name="bob@example.org"
    )
    message = parse_span(said.span)
    message.attributes["broken"] = b"\x2a\xff\xff\xff"  # an array that ends before it begins
    chosen = redactor("mask")
    kept, flags = chosen.span(said._replace(span=message.SerializeToString()), "default")
    assert b"bob" not in kept.span.lower()
    assert flags == REDACTED and chosen.counts["unreadable"] == 1
    span = read(kept, None)
    assert (span.kind, span.model, span.span_id) == ("llm", "m", parse_span(said.span).span_id)


def test_resources_and_log_records_are_redacted_too() -> None:
    said = raw(TOOL)
    message = parse_resource(said.resource)
    message.attributes["owner"] = b"\n\x0fbob@example.org"
    chosen = redactor("mask")
    kept, _ = chosen.span(said._replace(resource=message.SerializeToString()), "default")
    assert b"[EMAIL:" in kept.resource and b"bob" not in kept.resource
    event = log("gen_ai.user.message", {}, {"content": "I am bob@example.org"})
    for level, left in (("mask", "I am [EMAIL:"), ("strict", WHOLE)):
        decoded = decode_log(event, "default", EPOCH_MS, redactor=redactor(level))
        assert decoded is not None
        record, kept = decoded
        assert left in (record.input_messages or "") and b"bob" not in kept.span and record.flags & REDACTED


def test_the_content_hash_is_that_of_what_came_in() -> None:
    said = raw({**CHAT, "note": "bob@example.org"})
    assert read(said, redactor("mask")).content_hash == read(said, None).content_hash
    kept = decode(said, "default", EPOCH_MS, redactor=redactor("mask"))[1]
    assert decode(kept, "default", EPOCH_MS, 1, REDACTED)[0].flags == REDACTED


def test_a_token_amid_words_makes_an_argument_unknown() -> None:
    said = raw({**TOOL, "gen_ai.tool.call.arguments": '{"note": "write to bob@example.org"}'})
    assert not read_call(read(said, None)).redacted
    call = read_call(read(said, redactor("mask")))
    assert call.redacted and call.key is None


@pytest.mark.parametrize("level", ["mask", "strict"])
def test_broken_bytes_around_a_span_neither_stop_the_scorer_nor_pass(level: str) -> None:
    """Whatever is broken is refused with a sentence or left out; no other exception leaves decode."""
    said = registry(workflows=[{"name": "bank", "redaction": level}, {"name": "shop"}])
    chosen = redactor_of(said, SECRET)
    broken = b"\x0a\xff bob@example.org"
    good = raw({**CHAT, "gen_ai.workflow.name": "bank"})
    span, kept = decode(good._replace(scope=broken), "default", EPOCH_MS, redactor=chosen)
    assert span.kind == "llm" and kept.scope == b""
    for parts in (good._replace(resource=broken), good._replace(span=broken)):
        with pytest.raises(InvalidOtlp):
            decode(parts, "default", EPOCH_MS, redactor=chosen)
    event = log("gen_ai.user.message", {}, {"content": "hi"})
    decoded = decode_log(event._replace(scope=broken), "default", EPOCH_MS, redactor=chosen)
    assert decoded is not None and decoded[1].scope == b""
    with pytest.raises(InvalidOtlp):
        decode_log(event._replace(resource=broken), "default", EPOCH_MS, redactor=chosen)
