"""VerifierPass: the verifier's own verdict, and what it missed."""

import pytest

from evaluators.judge import judge
from evaluators.views.verdicts import verdict_of
from tests.builders import assistant, result_of, root_span, span, text_of, tool, tool_span, trajectory, workflow

SHOP = workflow(
    tools=[tool("look", {"id": {}}), tool("refund", {"id": {}}, writes=True), tool("note", {"id": {}}, writes=True)]
)
BY_ORDER = workflow(tools=[tool("refund", {"id": {}, "n": {}}, writes=True, entity={"order": "$.id"})])
READS = workflow("reads", tools=[tool("look", {"id": {}})])
NOTHING = workflow("silent")
PASS, FAIL = '{"verdict": "pass"}', '{"verdict": "fail", "reason": "not refunded"}'
FAILED, SWALLOWED = {"status": 2}, {"result": {"error": "500"}}


def verifier(n, said, **fields):
    return span(n, kind="verifier", output_messages=text_of(said), **fields)


def message(said):
    return assistant(text_of(said))


def judged(calls, said=PASS, shop=SHOP):
    spans = []
    for n, (name, arguments, *more) in enumerate(calls, 1):
        spans.append(tool_span(n, name, arguments, **(more[0] if more else {})))
    return result_of(judge(trajectory(*spans, verifier(99, said), workflow=shop)), "VerifierPass", 99)


@pytest.mark.parametrize(
    ("said", "passed"),
    [
        (PASS, True),
        (FAIL, False),
        ({"verdict": "Approved."}, True),
        ({"decision": "Needs revision"}, False),
        ({"passed": True}, True),
        ({"passed": "no"}, False),
        ({"approved": False, "reason": "all checks passed"}, False),
        ({"isError": False, "valid": True}, True),
        ({"tripwire_triggered": True}, False),
        ({"flagged": False}, True),
        ({"verdict": "not approved"}, False),
        ({"score": 0.9}, True),
        ({"score": 0.2}, False),
        ({"score": 0.7, "threshold": 0.8}, False),
        ({"score": 0.2, "verdict": "pass"}, True),
        ({"status": "rejected"}, False),
        (message(PASS), True),
        (message({"verdict": "fail"}), False),
        (message("Looks fine.\n\n**Verdict:** PASS"), True),
        (message("Verdict: fail - the note is missing"), False),
        (message("```json\n" + FAIL + "\n```"), False),
        ("PASS", True),
        (" rejected.\n", False),
        ("verdict='fail' reason='refund issued, but not noted'", False),
        ({"description": "Check it.", "expected_output": "pass or fail", "raw": FAIL, "name": "ok"}, False),
        ([{"role": "user", "content": "pass"}, {"role": "assistant", "content": FAIL}], False),
        ([{"role": "assistant", "content": FAIL}, {"role": "assistant", "content": PASS}], True),
        (
            [
                {
                    "role": "assistant",
                    "parts": [{"type": "tool_call", "name": "answer", "arguments": {"verdict": "fail"}}],
                }
            ],
            False,
        ),
        ({"result": {"verdict": "pass"}}, True),
        # Nothing that is a verdict, or two.
        ({"verdict": "pass", "passed": False}, None),
        ({"verdict": "maybe"}, None),
        ({"status": "ok"}, None),
        ({"status": "success", "checks": [{"passed": False}]}, None),
        ({"score": 4}, None),
        ({"score": True}, None),
        ({"score": None, "verdict": None}, None),
        ("It would not be wrong to say that this could pass.", None),
        ("Verdict: pass\nVerdict: fail", None),
        ("Verdict: pass only if the note is added later", None),
        ([], None),
        ("", None),
        ("{", None),
        ("null", None),
        ("[" * 2000 + "]" * 2000, None),
        ('{"content":' * 200 + PASS + "}" * 200, None),
        ([{"role": ["x"], "content": {"verdict": {"a": 1}}}], None),
        ({"verdict": "pass" * 10_000}, None),
    ],
)
def test_the_verdict_is_read_from_what_was_said(said, passed):
    assert verdict_of(verifier(1, said)) is passed


@pytest.mark.parametrize(
    ("shop", "calls", "said", "code", "basis"),
    [
        (SHOP, [("refund", {"id": 1})], PASS, "", "trace"),
        (SHOP, [], PASS, "", "trace"),
        (SHOP, [("refund", {"id": 1}, FAILED)], PASS, "missed", "registry"),
        (SHOP, [("refund", {"id": 1}, SWALLOWED)], PASS, "missed", "registry"),
        (SHOP, [("refund", {"id": 1}, FAILED), ("refund", {"id": 1})], PASS, "", "trace"),
        (SHOP, [("refund", {"id": "x"}, FAILED), ("refund", {"id": 1})], PASS, "", "trace"),
        (SHOP, [("refund", {"id": 1}, FAILED), ("note", {"id": 1})], PASS, "missed", "registry"),
        (SHOP, [("look", {"id": 1}, FAILED)], PASS, "", "trace"),
        (SHOP, [("dance", {"id": 1}, FAILED)], PASS, "missed", "trace"),
        # A verifier that rightly rejects is a step that fails, and missed nothing.
        (SHOP, [("refund", {"id": 1}, FAILED)], FAIL, "rejected", "trace"),
        (SHOP, [("refund", {"id": 1})], FAIL, "rejected", "trace"),
        # On another order the refund is not made good.
        (BY_ORDER, [("refund", {"id": 1}, FAILED), ("refund", {"id": 2})], PASS, "missed", "registry"),
        (BY_ORDER, [("refund", {"id": 1, "n": "x"}, FAILED), ("refund", {"id": 1, "n": 5})], PASS, "", "trace"),
        (BY_ORDER, [("refund", {"id": 1}, FAILED), ("refund", None)], PASS, "", "trace"),
        (BY_ORDER, [("refund", "{", FAILED), ("refund", {"id": 1})], PASS, "", "trace"),
        (BY_ORDER, [("refund", {"id": {"a": [1]}}, FAILED)], PASS, "missed", "registry"),
        (NOTHING, [("refund", {"id": 1}, FAILED)], PASS, "missed", "trace"),
        (NOTHING, [("refund", {"id": 1}, FAILED), ("refund", {"id": 1})], PASS, "", "trace"),
        (READS, [("look", {"id": 1}, FAILED)], PASS, "missed", "trace"),
        (NOTHING, [("index", {}, {"status": 2, "kind": "retrieval"})], PASS, "", "trace"),
        (SHOP, [("refund", {"id": 1}, {"status": 2, "exception": "GraphInterrupt: ask"})], PASS, "", "trace"),
    ],
)
def test_a_verifier_that_passes_what_had_failed_missed_it(shop, calls, said, code, basis):
    result = judged(calls, said, shop)
    assert (result.reason_code, result.verdict, result.basis) == (code, "fail" if code else "pass", basis)


def test_a_write_that_fails_after_the_verifier_is_not_missed_by_it():
    spans = [verifier(1, PASS), tool_span(2, "refund", {"id": 1}, status=2), verifier(3, PASS)]
    results = judge(trajectory(*spans, workflow=SHOP))
    assert [result_of(results, "VerifierPass", n).reason_code for n in (1, 3)] == ["", "missed"]


@pytest.mark.parametrize(
    ("said", "fields", "code"),
    [
        (None, {}, "not_captured"),
        ("I looked at it with care.", {}, "not_parsed"),
        ({"verdict": "pass", "approved": False}, {}, "not_parsed"),
        (None, {"status": 2}, "verifier_failed"),
        ("", {"error_type": "TimeoutError"}, "verifier_failed"),
    ],
)
def test_without_a_verdict_a_verifier_is_unscored(said, fields, code):
    result = result_of(judge(trajectory(verifier(1, said, **fields), workflow=SHOP)), "VerifierPass", 1)
    assert (result.verdict, result.reason_code) == ("unscored", code)


def test_a_tripwire_is_a_rejection():
    tripped = verifier(1, None, exception="InputGuardrailTripwireTriggered: off topic", status=2)
    assert result_of(judge(trajectory(tripped)), "VerifierPass", 1).reason_code == "rejected"


def test_runs_without_a_verifier_have_no_result():
    results = judge(trajectory(root_span(), tool_span(1, "refund", {"id": 1}, status=2), workflow=SHOP))
    assert not [r for r in results if r.evaluator == "VerifierPass"]
