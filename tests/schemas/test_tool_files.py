"""`tools_from`: a registry with its files is the registry with the tools written in."""

import json

import pytest

from schemas.config import ConfigError
from schemas.registry import parse_registry
from schemas.tool_files import inlined, names_of, read_tools

SCHEMA = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
PAY = {"name": "pay", "description": "Pays.", "parameters": SCHEMA}
OPENAI = json.dumps([{"type": "function", "function": PAY}])
MCP = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {
            "tools": [
                {
                    "name": "pay",
                    "title": "Pay",
                    "inputSchema": SCHEMA,
                    "outputSchema": {"type": "object"},
                    "annotations": {"readOnlyHint": False},
                },
                {"name": "look", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}},
            ],
            "nextCursor": None,
        },
    }
)
REGISTRY = """
workflows:
  - name: refund
    tools_from: tools.json
    tools:
      - {name: note, writes: true}
      - {name: pay, writes: true, latency_budget_ms: 100}
    policy: {order: [{before: note, tool: pay}]}
"""


@pytest.mark.parametrize(
    ("text", "names", "writes"),
    [
        (OPENAI, ["pay"], set()),
        (json.dumps({"functions": [PAY]}), ["pay"], set()),
        (json.dumps({"tools": [{"name": "pay", "input_schema": SCHEMA}]}), ["pay"], set()),
        (MCP, ["pay", "look"], {"pay"}),
        ("- {name: pay}\n- {name: look}\n", ["pay", "look"], set()),
    ],
)
def test_openai_functions_and_answers_to_tools_list_are_read(text, names, writes):
    tools = read_tools(text, "tools.json")
    assert list(tools) == names
    assert {name for name, tool in tools.items() if tool.get("writes")} == writes
    assert all(tool.get("parameters", SCHEMA) == SCHEMA for tool in tools.values())


def test_what_the_workflow_says_itself_comes_over_what_the_file_says():
    refund = parse_registry(REGISTRY, "w.yaml", {"tools.json": OPENAI}).workflow("refund")
    pay = refund.tools["pay"]
    assert list(refund.tools) == ["note", "pay"]
    assert (pay.writes, pay.latency_budget_ms, pay.parameters) == (True, 100, SCHEMA)
    assert pay.validator is not None and not pay.validator.is_valid({})


def test_the_text_with_its_tools_written_in_is_the_same_registry_and_needs_no_file():
    files = {"tools.json": MCP}
    alone = inlined(REGISTRY, "w.yaml", files)
    read, published = parse_registry(REGISTRY, "w.yaml", files), parse_registry(alone, "eval.config")
    assert names_of(REGISTRY, "w.yaml") == ["tools.json"] and names_of(alone, "eval.config") == []
    assert read.version == published.version
    assert read.workflow("refund").tools.keys() == published.workflow("refund").tools.keys()
    assert inlined(alone, "eval.config", {}) == alone


def test_another_tool_file_is_another_version():
    first, other = (parse_registry(REGISTRY, "w.yaml", {"tools.json": text}).version for text in (OPENAI, MCP))
    assert first != other


def test_a_registry_without_files_stays_as_it_is_written():
    assert inlined("workflows: [] # none\n", "w.yaml", {}) == "workflows: [] # none\n"


@pytest.mark.parametrize(
    ("registry", "tools", "said"),
    [
        (REGISTRY, None, "w.yaml:4: tools_from: 'tools.json' cannot be read"),
        (REGISTRY, '{"tols": []}', "tools.json:1: no list of tools"),
        (REGISTRY, "[\n{},\n{'name': 3}]", "tools.json:2: a tool is a mapping with a name"),
        (REGISTRY, "[\n{name: a},\n{name: a}]", "tools.json:3: tool 'a' is there twice"),
        (
            REGISTRY,
            "- name: a\n  inputSchema:\n    properties:\n      x: {type: strng}\n",
            "tools.json:4: parameters of",
        ),
        (REGISTRY, "- name: a\n  parameters: 3\n", "tools.json:1: parameters of tool 'a': a mapping is needed, not 3"),
        (REGISTRY.replace("order: [{before: note", "order: [{before: noet"), OPENAI, "w.yaml:8: unknown tool 'noet'"),
        (REGISTRY.replace("latency_budget_ms", "latency_budget"), OPENAI, "w.yaml:7: unknown key 'latency_budget'"),
        (
            REGISTRY.replace("tools.json", "[]"),
            OPENAI,
            "w.yaml:4: workflows[0].tools_from: the name of a file is needed",
        ),
        (REGISTRY.replace("tools.json", "[tools.json, more.json]"), OPENAI, "w.yaml:4: tool 'pay' is in more.json and"),
    ],
)
def test_a_slip_is_told_where_it_lies(registry, tools, said):
    files = {} if tools is None else {"tools.json": tools, "more.json": OPENAI}
    with pytest.raises(ConfigError) as caught:
        parse_registry(registry, "w.yaml", files)
    assert said in str(caught.value)


def test_values_that_json_does_not_have_are_refused_when_tools_are_written_in():
    odd = REGISTRY.replace("{name: note, writes: true}", "{name: note, parameters: {default: .nan}}")
    with pytest.raises(ConfigError, match="with tools_from all values must be JSON"):
        inlined(odd, "w.yaml", {"tools.json": OPENAI})
