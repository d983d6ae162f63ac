"""Rules against the registry: only slips are refused."""

import json

import pytest

from schemas.cross_check import check_rules
from schemas.registry import EMPTY, parse_registry

REGISTRY = parse_registry(
    json.dumps(
        {
            "workflows": [
                {"name": "refund*", "tools": [{"name": "update_crm"}], "agents": ["executor"]},
                {"name": "triage", "tools": [{"name": "route_ticket"}], "evaluators": {"ToneOfVoice": {}}},
            ]
        }
    ),
    "workflows.yaml",
)


def found(match, registry=REGISTRY):
    text = "defaults: {condition: {fail_rate_above: 0.05}}\nrules:\n - uid: a\n   match:\n" + "".join(
        f"     {key}: {json.dumps(value)}\n" for key, value in match.items()
    )
    return [str(problem) for problem in check_rules(text, "rules.yaml", registry)]


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ({"evaluator": "ToolCallSucess"}, "rules.yaml:5: rule 'a': evaluator 'ToolCallSucess': unknown 'ToolCallSucess'; did"),
        ({"evaluator": "ToneOfVoise"}, "did you mean 'ToneOfVoice'?"),
        ({"step_kind": "toolcall"}, "step_kind 'toolcall' fits no kind of step; known: agent,"),
        ({"workflow": "refund", "step": "*/update_crn"}, "rules.yaml:6: rule 'a': step '*/update_crn': unknown 'update_crn'"),
        ({"step": "executer/update_crm"}, "unknown 'executer'; did you mean 'executor'?"),
        ({"step": "trajectory"}, "did you mean '(trajectory)'?"),
    ],
)  # fmt: skip
def test_a_name_near_to_a_known_one_is_a_slip(match, said):
    (problem,) = found(match)
    assert said in problem


@pytest.mark.parametrize(
    "match",
    [
        {"workflow": "*"},
        {"evaluator": "Tool*", "step": "executor/*", "step_kind": "tool*"},
        {"step": "(trajectory)", "step_kind": "trajectory"},
        {"step": "somebody/llm", "evaluator": "Politeness"},
        {"workflow": "triage", "step": "executor/update_crn"},  # no workflow that it can match has such a tool
        {"workflow": "unheard-of", "step": "-/anything"},
    ],
)
def test_what_the_registry_does_not_know_is_no_slip(match):
    assert found(match) == []


def test_without_a_registry_evaluators_and_kinds_are_checked():
    assert len(found({"evaluator": "LatencyBudgt", "step_kind": "agnt", "step": "x/update_crn"}, EMPTY)) == 2


def test_a_slip_in_the_defaults_is_told_at_its_line():
    text = "defaults:\n condition: {fail_rate_above: 0.05}\n match: {evaluator: StepEficiency}\nrules: [{uid: a}]\n"
    (problem,) = check_rules(text, "rules.yaml", EMPTY)
    assert problem.line == 3
