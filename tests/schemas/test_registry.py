"""workflows.yaml: all of evaluators.md section 2 is accepted, and every slip is an error with its line."""

import pytest

from schemas.config import ConfigError
from schemas.registry import EMPTY, parse_registry
from schemas.workflow import DEFAULT_MAX_STEPS, EvaluatorSettings, Forbidden, Order

FULL = """
workflows:
  - name: refund
    sample: 0.5
    tools:
      - name: update_crm
        writes: true
        parameters:
          {type: object, properties: {customer_id: {type: string}, tags: {type: array, ordered: true}}, required: [customer_id]}
        entity: {customer: $.customer_id}
        latency_budget_ms: 200
        inverse: revert_crm
      - {name: revert_crm, writes: true}
      - {name: verify_identity}
      - {type: function, function: {name: issue_refund, parameters: {type: object, properties: {}}}, writes: true}
    policy:
      max_steps: 40
      max_repeats: 3
      order: [{before: verify_identity, tool: issue_refund}]
      forbidden: [{after: update_crm, tool: issue_refund}, {tool: revert_crm}]
      confirm_before_write: true
      latency_budget_ms: 30000
      cost_budget_usd: 0.50
    evaluators: {ParameterValidation: {pass_at: 1.0}, StepEfficiency: {pass_at: 0.8}, ReasoningQuality: {enabled: false}}
    trajectory_weights: {TaskCompletion: 0.4, FunctionCallAccuracy: 0.3, StepEfficiency: 0.3}
    agents: [planner, executor]
  - name: "billing-*"
  - name: "b*"
defaults:
  sample: 0.1
  policy: {max_steps: 99}
  evaluators: {IterationCap: {enabled: false}}
"""


def test_everything_of_the_specification_is_accepted():
    refund = parse_registry(FULL, "w.yaml").workflow("refund")
    crm = refund.tools["update_crm"]
    assert (refund.sample, crm.writes, crm.latency_budget_ms, crm.ordered) == (0.5, True, 200, frozenset({"tags"}))
    assert crm.entity == {"customer": "$.customer_id"}
    assert refund.policy.order == (Order("verify_identity", "issue_refund"),)
    assert refund.policy.forbidden == (Forbidden("update_crm", "issue_refund"), Forbidden(None, "revert_crm"))
    assert (crm.inverse, refund.agents) == ("revert_crm", frozenset({"planner", "executor"}))
    assert (refund.policy.max_steps, refund.policy.max_repeats) == (40, 3)
    assert refund.settings("ReasoningQuality") == EvaluatorSettings(enabled=False)
    assert refund.settings("StepEfficiency").pass_at == 0.8
    assert refund.declares_writes


def test_tools_in_openai_shape_are_accepted():
    tool = parse_registry(FULL, "w.yaml").workflow("refund").tools["issue_refund"]
    assert tool.writes
    assert tool.validator is not None and not tool.validator.is_valid({"amount": 3})


@pytest.mark.parametrize(
    ("name", "found"),
    [("refund", "refund"), ("billing-eu", "billing-*"), ("bus", "b*"), ("other", "defaults"), ("", "defaults")],
)
def test_the_exact_name_wins_then_globs_in_file_order_then_the_defaults(name, found):
    assert parse_registry(FULL, "w.yaml").workflow(name).name == found


def test_the_defaults_block_gives_what_an_entry_does_not_say():
    registry = parse_registry(FULL, "w.yaml")
    billing, refund = registry.workflow("billing-eu"), registry.workflow("refund")
    assert (billing.sample, billing.policy.max_steps) == (0.1, 99)
    assert not billing.settings("IterationCap").enabled and not refund.settings("IterationCap").enabled
    assert registry.workflow("unheard-of").policy.max_steps == 99


def test_without_any_policy_the_built_in_caps_hold_and_null_lifts_them():
    assert EMPTY.workflow("x").policy.max_steps == DEFAULT_MAX_STEPS
    lifted = parse_registry("workflows: [{name: x, policy: {max_steps: null, max_repeats: null}}]", "w.yaml").workflow(
        "x"
    )
    assert (lifted.policy.max_steps, lifted.policy.max_repeats) == (None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workflows:\n - name: a\n   tols: []\n", "w.yaml:3: unknown key 'tols'; did you mean 'tools'?"),
        (
            "workflows:\n - name: a\n   policy:\n     max_step: 3\n",
            "w.yaml:4: unknown key 'max_step'; did you mean 'max_steps'?",
        ),
        ("workflow: []\n", "w.yaml:1: unknown key 'workflow'; did you mean 'workflows'?"),
        (
            "workflows:\n - name: a\n   tools:\n    - name: t\n      parameters:\n       properties:\n        x: {type: strng}\n",
            "w.yaml:7: parameters of tool 't': not a JSON Schema (draft 2020-12)",
        ),
        (
            "workflows:\n - name: a\n   tools:\n    - name: t\n      parameters: {$ref: 'http://127.0.0.1:1/x'}\n",
            "w.yaml:5: parameters of tool 't'",
        ),
        (
            "workflows:\n - name: a\n   tools: [{name: verify}]\n   policy:\n     order: [{before: verfy, tool: verify}]\n",
            "w.yaml:5: unknown tool 'verfy' in policy.order of workflow 'a'; did you mean 'verify'?",
        ),
        (
            "workflows:\n - name: a\n   tools: [{name: pay}]\n   policy: {forbidden: [{tool: psy}]}\n",
            "w.yaml:4: unknown tool 'psy' in policy.forbidden of workflow 'a'; did you mean 'pay'?",
        ),
        (
            "workflows:\n - name: a\n   tools:\n    - {name: book}\n    - {name: cancel, inverse: bock}\n",
            "w.yaml:5: unknown inverse 'bock' of tool 'cancel'; did you mean 'book'?",
        ),
        ("workflows:\n - name: a\n - name: a\n", "w.yaml:3: workflow 'a' is declared twice"),
        ("workflows:\n - name: a\n   tools:\n    - name: t\n    - name: t\n", "w.yaml:5: tool 't' is declared twice"),
        (
            "workflows:\n - name: a\n   evaluators:\n     ParamaterValidation: {}\n",
            "w.yaml:4: unknown evaluator 'ParamaterValidation'; did you mean 'ParameterValidation'?",
        ),
        (
            "workflows:\n - name: a\n   trajectory_weights: {TaskCompletion: -1}\n",
            "w.yaml:3: the weight of TaskCompletion is -1",
        ),
        ("workflows:\n - name: a\n   trajectory_weights: {TaskCompletion: 0}\n", "w.yaml:3: all weights are 0"),
        (
            "workflows:\n - name: a\n   sample: 2\n",
            "w.yaml:3: workflows[0].sample: input should be less than or equal to 1",
        ),
        ("workflows:\n - name: a\n   policy: {max_steps: 0}\n", "w.yaml:3: workflows[0].policy.max_steps"),
        ("workflows:\n - name: a\n   evaluators: {StepEfficiency: {pass_at: .nan}}\n", "w.yaml:3:"),
        ("defaults:\n  tools: []\n", "w.yaml:2: unknown key 'tools'"),
    ],
)
def test_a_slip_is_an_error_with_file_line_and_cure(text, said):
    with pytest.raises(ConfigError) as caught:
        parse_registry(text, "w.yaml")
    assert said in str(caught.value)


def test_all_problems_of_a_text_are_told_at_once_and_none_that_follows_from_another():
    text = """
workflows:
  - name: a
    tolls: []
    tools:
      - {nmae: pay}
      - {name: look, parameters: {type: strng}}
      - {name: note, entity: {order: $.ordr}, parameters: {properties: {order: {}}}}
    policy: {max_steps: 0, order: [{before: look, tool: pay}]}
  - name: a
  - {name: b, tools: [3], policy: {forbidden: [{tool: pay}]}}
  - {name: c, tools: [{name: pay}], policy: {forbidden: [{tool: pya}]}}
"""
    with pytest.raises(ConfigError) as caught:
        parse_registry(text, "w.yaml")
    told = [(problem.line, problem.message.split(";")[0][:45]) for problem in caught.value.problems]
    assert told == [
        (4, "unknown key 'tolls'"),
        (6, "key 'name' is missing in workflows[0].tools[0"),
        (6, "unknown key 'nmae'"),
        (7, "parameters of tool 'look': not a JSON Schema "),
        (8, "unknown argument 'ordr' of tool 'note'"),
        (9, "workflows[0].policy.max_steps: input should b"),
        (10, "workflow 'a' is declared twice"),
        (11, "workflows[2].tools[0]: a mapping is needed, no"[:45]),
        (12, "unknown tool 'pya' in policy.forbidden of wor"),
    ]


def test_settings_of_an_evaluator_are_inherited_key_by_key():
    text = (
        "workflows: [{name: a, evaluators: {StepEfficiency: {pass_at: 0.8}}}]\n"
        "defaults: {evaluators: {StepEfficiency: {enabled: false, pass_at: 0.5}}, agents: [planner]}\n"
    )
    own = parse_registry(text, "w.yaml").workflow("a")
    assert own.settings("StepEfficiency") == EvaluatorSettings(enabled=False, pass_at=0.8)
    assert own.agents == frozenset({"planner"})


@pytest.mark.parametrize(
    ("pointer", "said"),
    [("order_id", "w.yaml:1: 'order_id' does not say which argument"), ("$.ordr_id", "did you mean 'order_id'?")],
)
def test_an_entity_names_an_argument_that_is_there(pointer, said):
    tool = f"{{name: t, entity: {{order: {pointer}}}, parameters: {{properties: {{order_id: {{}}}}}}}}"
    with pytest.raises(ConfigError) as caught:
        parse_registry(f"workflows: [{{name: a, tools: [{tool}]}}]", "w.yaml")
    assert said in str(caught.value)


def test_somebodys_own_evaluator_may_have_settings():
    own = parse_registry("workflows: [{name: a, evaluators: {ToneOfVoice: {pass_at: 0.5}}}]", "w.yaml").workflow("a")
    assert own.settings("ToneOfVoice").pass_at == 0.5


def test_equal_texts_have_equal_versions_and_others_other():
    assert parse_registry(FULL, "a").version == parse_registry(FULL, "b").version
    assert parse_registry(FULL, "a").version != parse_registry(FULL + "\n# x", "a").version


@pytest.mark.parametrize(
    ("schema", "arguments", "valid"),
    [
        ('{"type":"object","properties":{"a":{}}}', {"b": 1}, False),
        ('{"type":"object","properties":{"a":{}},"additionalProperties":true}', {"b": 1}, True),
        ('{"type":"object","properties":{"a":{"type":"object","properties":{"x":{}}}}}', {"a": {"y": 1}}, True),
        ('{"properties":{"a":{}},"allOf":[{"properties":{"b":{}}}]}', {"a": 1, "b": 1}, True),
        ('{"properties":{"a":{}},"allOf":[{"properties":{"b":{}}}]}', {"c": 1}, False),
        ('{"type":"object"}', {"c": 1}, True),
    ],
)
def test_a_tools_top_level_is_closed_unless_its_schema_says_otherwise(schema, arguments, valid):
    text = f"workflows: [{{name: a, tools: [{{name: t, parameters: {schema}}}]}}]"
    validator = parse_registry(text, "w.yaml").workflow("a").tools["t"].validator
    assert validator is not None
    assert validator.is_valid(arguments) is valid


def test_an_empty_registry_is_the_defaults_alone():
    assert parse_registry("", "w.yaml").workflow("anything").name == "defaults"
