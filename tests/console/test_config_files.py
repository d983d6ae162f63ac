"""`stepwatch config check`: files as they lie on a disk; everything wrong at once; one text for the workers."""

import json

import pytest

from schemas.config import ConfigError
from schemas.registry import parse_registry
from streams.console.config import read
from streams.console.errors import UserError
from streams.registry_file import read_registry, text_of

TOOLS = [{"type": "function", "function": {"name": "pay", "parameters": {"properties": {"order": {"type": "string"}}}}}]
REGISTRY = """workflows:
  - name: refund
    tools_from: tools/list.json
    tools: [{name: pay, writes: true}]
"""
RULES = "defaults: {condition: {fail_rate_above: 0.05}}\nrules:\n  - uid: a\n    match: {evaluator: ToolCallSuccess}\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "list.json").write_text(json.dumps(TOOLS))
    (tmp_path / "workflows.yaml").write_text(REGISTRY)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path


def test_tools_are_read_beside_the_registry_and_published_with_it(folder):
    here = read_registry(folder / "workflows.yaml")
    published, _ = read([folder / "workflows.yaml"])
    (folder / "tools" / "list.json").unlink()  # a worker has no such file
    there = parse_registry(published, "eval.config")
    assert here.version == there.version
    assert here.workflow("refund").tools["pay"].parameters == there.workflow("refund").tools["pay"].parameters
    assert there.workflow("refund").declares_writes


def test_registry_and_rules_are_told_apart_in_any_order_and_form(folder):
    as_json = folder / "rules.json"
    as_json.write_text(
        json.dumps({"defaults": {"condition": {"fail_rate_above": 0.1}}, "rules": [{"uid": "a"}]}, indent=1)
    )
    registry, rules = read([as_json, folder / "workflows.yaml"])
    assert "refund" in registry and rules == as_json.read_text()


def test_everything_wrong_in_all_files_is_told_at_once(run, folder):
    (folder / "tools" / "list.json").write_text('[{"name": "pay",\n "parameters": {"type": "objekt"}}]')
    (folder / "workflows.yaml").write_text(REGISTRY + "    policy: {max_step: 3, order: [{before: pya, tool: pay}]}\n")
    (folder / "rules.yaml").write_text(RULES.replace("ToolCallSuccess", "ToolCallSucces"))
    done = run("config", "check", folder / "workflows.yaml", folder / "rules.yaml")
    assert done.returncode == 1
    for said in (
        f"{folder}/tools/list.json:2: parameters of tool 'pay'",
        f"{folder}/workflows.yaml:5: unknown key 'max_step'; did you mean 'max_steps'?",
        f"{folder}/workflows.yaml:5: unknown tool 'pya' in policy.order of workflow 'refund'; did you mean 'pay'?",
        f"{folder}/rules.yaml:4: rule 'a': evaluator 'ToolCallSucces': unknown 'ToolCallSucces'; did you mean",
    ):
        assert said in done.stderr


def test_a_file_of_tools_that_is_not_there_is_told_with_the_line_that_names_it(folder):
    (folder / "tools" / "list.json").unlink()
    with pytest.raises(ConfigError, match=r"workflows\.yaml:3: tools_from: 'tools/list\.json' cannot be read"):
        text_of(folder / "workflows.yaml")


def test_two_registries_are_refused(folder):
    (folder / "more.yaml").write_text("workflows: []\n")
    with pytest.raises(UserError, match="a second registry file"):
        read([folder / "workflows.yaml", folder / "more.yaml"])


def test_a_registry_too_large_with_its_tools_is_told(folder):
    many = [{"name": f"tool_{n}", "description": "", "parameters": {"title": "x" * 1000}} for n in range(600)]
    for part in ("a", "b"):
        named = [{**tool, "name": f"{part}_{tool['name']}"} for tool in many]
        (folder / f"{part}.json").write_text(json.dumps(named))
    (folder / "workflows.yaml").write_text("workflows: [{name: x, tools_from: [a.json, b.json]}]\n")
    with pytest.raises(ConfigError, match="with its tools written in"):
        text_of(folder / "workflows.yaml")
