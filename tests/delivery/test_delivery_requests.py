"""What each kind of target is sent for an event."""

import base64
import json
from typing import Any

import pytest

from schemas.alert import AlertEvent, spell_time
from streams.delivery import alertmanager, pagerduty, slack, webhook
from streams.delivery.message import Message, Request
from tests.delivery.events import FIRING, RESOLVED, UPDATED, message

KEY = bytes(range(32))
HOSTILE = "<!channel> & <https://evil.example|click>"


def content(request: Request) -> Any:
    return json.loads(request.body)


def hostile() -> Message:
    labels = tuple((name, HOSTILE if name in ("workflow", "step") else text) for name, text in FIRING.labels)
    return message(FIRING, labels=labels, annotations=(("summary", HOSTILE), ("description", HOSTILE)))


# Webhook


def test_the_signature_is_that_of_the_published_example() -> None:
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = webhook.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_gets_the_whole_event_as_a_structured_cloud_event() -> None:
    request = webhook.request(message(), "https://h/x", (KEY,), "token", 1_760_000_000)
    told = content(request)
    assert told["specversion"] == "1.0"
    assert told["id"] == FIRING.id == request.headers["webhook-id"]
    assert told["type"] == "dev.stepwatch.alert.firing.v1"
    assert told["data"] == json.loads(message().value)
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["authorization"] == "Bearer token"
    assert request.headers["webhook-timestamp"] == "1760000000"


def test_while_a_secret_is_rotated_both_sign() -> None:
    request = webhook.request(message(), "https://h/x", (KEY, KEY[::-1]), None, 1)
    one, other = request.headers["webhook-signature"].split(" ")
    assert one == webhook.sign(KEY, FIRING.id, 1, request.body)
    assert other == webhook.sign(KEY[::-1], FIRING.id, 1, request.body)
    assert "authorization" not in request.headers


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "not base64!", "whsec_" + "A" * 100])
def test_what_is_no_signing_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand") as caught:
        webhook.read_key(secret)
    assert not secret or secret not in str(caught.value).replace("whsec_ and", "")


def test_a_request_shows_neither_address_nor_headers() -> None:
    assert "hooks" not in repr(Request("https://hooks/secret", {"a": "secret"}, b"{}"))


# PagerDuty


def test_firing_triggers_and_resolved_resolves_the_same_incident() -> None:
    trigger, resolve = (content(pagerduty.request(message(e), "https://p", "key")) for e in (FIRING, RESOLVED))
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"] == FIRING.alert_key
    assert trigger["routing_key"] == "key"
    assert "payload" not in resolve
    payload = trigger["payload"]
    assert payload["severity"] == "critical"
    assert payload["source"] == FIRING.source
    assert payload["summary"] == dict(FIRING.annotations)["summary"]
    assert (payload["group"], payload["component"]) == ("refund", "executor/update_crm")
    assert payload["custom_details"]["event"] == json.loads(message().value)
    assert trigger["links"] == [{"href": "https://example.com/runbook", "text": "Runbook"}]


def test_what_is_too_long_for_pagerduty_is_cut_and_details_that_are_too_large_are_left_out() -> None:
    long = message(annotations=(("summary", "x" * 2_000), ("description", "y" * 600_000)))
    told = content(pagerduty.request(long, "https://p", "key"))
    assert len(told["payload"]["summary"]) == 1_024
    assert "custom_details" not in told["payload"]


# Slack


def test_slack_gets_a_message_an_event() -> None:
    told = content(slack.request([message()], "https://s"))
    assert told["blocks"][0]["text"]["text"].startswith("FIRING refund / executor/update_crm")
    assert dict(FIRING.annotations)["summary"] in told["blocks"][1]["text"]["text"]
    assert FIRING.exemplars[0].trace_id in json.dumps(told)
    assert "<https://example.com/runbook|runbook>" in json.dumps(told)


def test_many_events_share_a_message_within_slacks_bounds() -> None:
    many = [message(labels=(("workflow", "w" * 256), ("step", "s" * 256)))] * slack.TOGETHER_MAX
    told = content(slack.request(many, "https://s"))
    lines = told["blocks"][1]["text"]["text"]
    assert told["text"] == f"{slack.TOGETHER_MAX} alert events"
    assert len(lines.splitlines()) == slack.TOGETHER_MAX
    assert len(lines) <= slack.TEXT_MAX


@pytest.mark.parametrize("n", [1, 3])
def test_names_of_others_are_never_markup_in_slack(n: int) -> None:
    told = content(slack.request([hostile()] * n, "https://s"))
    assert "<!channel>" not in told["text"]
    marked = [e["text"] for block in told["blocks"] for e in block.get("elements", []) if e["type"] == "mrkdwn"]
    assert all("<!channel>" not in text for text in marked)
    for block in told["blocks"]:
        assert block.get("text", {"type": "plain_text"})["type"] == "plain_text"


def test_long_texts_stay_within_slacks_bounds() -> None:
    long = message(annotations=(("summary", "&" * 5_000),), labels=(("workflow", "w" * 900),))
    told = content(slack.request([long], "https://s"))
    assert len(told["blocks"][0]["text"]["text"]) <= slack.HEADER_MAX
    assert len(told["blocks"][1]["text"]["text"]) <= slack.TEXT_MAX
    assert len(told["text"]) <= slack.TEXT_MAX


# Alertmanager


def told_alertmanager(event: AlertEvent, now_ms: int) -> dict[str, Any]:
    (alert,) = alertmanager.Live().alerts(event, now_ms)
    return alert


def test_an_alert_fires_with_an_end_four_minutes_off_and_is_resolved_at_its_end() -> None:
    now = FIRING.time_ms
    firing, resolved = told_alertmanager(FIRING, now), told_alertmanager(RESOLVED, now)
    assert firing["labels"] == resolved["labels"]
    assert firing["labels"] == {
        "alertname": "tools",
        "tenant": "default",
        "severity": "critical",
        "workflow": "refund",
        "step": "executor/update_crm",
        "step_kind": "tool_call",
        "evaluator": "ToolCallSuccess",
        "team": "ops",
    }
    assert firing["startsAt"] == spell_time(FIRING.starts_ms)
    assert firing["endsAt"] == spell_time(now + 240_000)
    assert RESOLVED.resolved_ms is not None
    assert resolved["endsAt"] == spell_time(RESOLVED.resolved_ms)
    assert firing["annotations"]["summary"] == dict(FIRING.annotations)["summary"]


def test_its_names_are_names_and_its_values_are_never_empty() -> None:
    odd = told_alertmanager(FIRING._replace(labels=(("my.label", "x"), ("9th", "y"), ("none", ""))), 0)
    assert {"my_label": "x", "_9th": "y"}.items() <= odd["labels"].items()
    assert "none" not in odd["labels"]


def test_what_fires_is_repeated_until_it_expires_and_what_is_resolved_for_a_quarter_of_an_hour() -> None:
    live = alertmanager.Live([FIRING])
    now = FIRING.time_ms
    ((alert,),) = live.repeated(now)
    assert alert["endsAt"] == spell_time(now + 240_000)
    assert live.repeated(FIRING.expires_ms) == []

    live.delivered(RESOLVED)
    assert RESOLVED.resolved_ms is not None
    ((alert,),) = live.repeated(RESOLVED.resolved_ms + 899_000)
    assert alert["endsAt"] == spell_time(RESOLVED.resolved_ms)
    assert live.repeated(RESOLVED.resolved_ms + 900_000) == []


def test_a_change_of_severity_ends_the_alert_under_its_old_labels() -> None:
    live = alertmanager.Live([FIRING])
    now = UPDATED.time_ms
    assert len(live.alerts(UPDATED, now)) == 1
    ended, new = live.alerts(UPDATED._replace(rule=UPDATED.rule._replace(severity="error")), now)
    assert (ended["labels"]["severity"], ended["endsAt"]) == ("critical", spell_time(now))
    assert (new["labels"]["severity"], new["endsAt"]) == ("error", spell_time(now + 240_000))


def test_repetitions_come_in_bounded_requests_of_all() -> None:
    live = alertmanager.Live([FIRING._replace(alert_key=f"{n:032x}") for n in range(150)])
    assert [len(alerts) for alerts in live.repeated(FIRING.time_ms)] == [64, 64, 22]
    request = alertmanager.request(live.repeated(FIRING.time_ms)[0], "https://am/prefix/", "t")
    assert request.url == "https://am/prefix/api/v2/alerts"
    assert len(content(request)) == 64
