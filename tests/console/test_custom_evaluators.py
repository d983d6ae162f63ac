"""Evaluators of others: the example of the docs runs; what cannot run is told with the distribution that brought it."""

import importlib
import re
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from evaluators.catalogue import EVALUATORS
from evaluators.judge import judge
from streams.console.errors import UserError
from streams.custom_evaluators import GROUP, load_custom
from tests.builders import tool_span, trajectory, workflow

PAGE = Path(__file__).parents[2] / "docs" / "custom-evaluators.md"
(EXAMPLE,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
(DECLARED,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
WELL = """
from evaluators.base import COMMON_CODES


class {name}:
    name = '{name}'
    version = '1'
    kinds = frozenset({{'tool_call'}})
    reason_codes = COMMON_CODES

    def judge(self, step, workflow):
        {body}
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install a distribution: its one module and its entry points, as pip would lay them down."""
    monkeypatch.syspath_prepend(tmp_path)
    modules = []

    def install(distribution, module, code, *points):
        path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)
        modules.append(module)
        info = tmp_path / f"{distribution}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n" + "\n".join(points) + "\n")
        importlib.invalidate_caches()

    yield install
    for module in modules:
        for name in (module, module.split(".")[0]):
            sys.modules.pop(name, None)


def judged(*spans, **declared):
    results = judge(trajectory(*spans, workflow=workflow(**declared)), evaluators=(*EVALUATORS, *load_custom()))
    return {(r.evaluator, r.span_id): r for r in results}


def brief(results):
    return [r for (name, _), r in results.items() if name == "BriefResults"]


def test_the_example_of_the_docs_is_about_thirty_lines_and_runs(installed):
    assert len(EXAMPLE.splitlines()) <= 36
    installed("our-evaluators", "our_evaluators.brief", EXAMPLE, DECLARED.splitlines()[1].replace('"', ""))
    calls = [tool_span(1, "look", {}, "x" * 10), tool_span(2, "look", {"n": 2}, "x" * 8_000)]
    calls += [tool_span(3, "look", {"n": 3}, None), tool_span(4, "look", {"n": 4}, "no", status=2)]
    found = brief(judged(*calls))
    assert [(r.verdict, r.score, r.reason_code) for r in found] == [
        ("pass", 1.0, ""),
        ("fail", 0.5, "too_long"),
        ("unscored", None, "not_captured"),
    ]


def test_a_custom_evaluator_has_settings_as_any_other(installed):
    installed("our-evaluators", "our_evaluators.brief", EXAMPLE, DECLARED.splitlines()[1].replace('"', ""))
    long = tool_span(1, "look", {}, "x" * 8_000)
    assert [r.verdict for r in brief(judged(long, evaluators={"BriefResults": {"pass_at": 0.5}}))] == ["pass"]
    assert brief(judged(long, evaluators={"BriefResults": {"enabled": False}})) == []


def test_the_commands_run_it_beside_ours(installed, run):
    traces = PAGE.parents[1] / "infra" / "examples" / "demo-traces.jsonl"
    without = run("score", traces).stdout.splitlines()
    installed("our-evaluators", "our_evaluators.brief", EXAMPLE, DECLARED.splitlines()[1].replace('"', ""))
    found = run("score", traces).stdout.splitlines()
    own = [line for line in found if '"evaluator":"BriefResults"' in line]
    assert own and [line for line in found if line not in own] == without
    assert run("score", traces, "--evaluators", "BriefResults", "--fail-under", "BriefResults=1").returncode == 0
    assert "BriefResults" in run("explain", traces, "--trace", "c5fe").stdout


def test_a_broken_package_stops_the_command_before_anything_is_read(installed, run):
    installed("their-package", "theirs", "import no_such_module_anywhere", "Theirs = theirs:Theirs")
    done = run("score", "none.jsonl")
    assert done.returncode == 1 and done.stderr.startswith("error: their-package 1.2: evaluator Theirs")


def test_an_exception_becomes_one_error_result_and_touches_nothing_else(installed):
    calls = [tool_span(1, "look", {}, "found"), tool_span(2, "look", {"n": 2}, "found")]
    without = judged(*calls)
    installed("bad", "bad_one", WELL.format(name="Breaks", body="return 1 / 0"), "Breaks = bad_one:Breaks")
    found = judged(*calls)
    broken = [r for (name, _), r in found.items() if name == "Breaks"]
    assert broken and {(r.verdict, r.reason_code) for r in broken} == {("error", "exception")}
    assert {key: r for key, r in found.items() if key[0] != "Breaks"} == without


def test_nothing_installed_is_nothing_loaded():
    assert [point for point in entry_points(group=GROUP) if point.dist.name != "stepwatch"] == []
    assert load_custom() == ()


def test_the_order_is_that_of_the_names(installed):
    for name in ("Zeta", "Alpha"):
        code = WELL.format(name=name, body="return None")
        installed(name.lower(), f"module_{name.lower()}", code, f"{name} = module_{name.lower()}:{name}")
    assert [evaluator.name for evaluator in load_custom()] == ["Alpha", "Zeta"]


BROKEN = {
    "import fails": ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
    "object is missing": ("", "AttributeError: module 'theirs' has no attribute 'Theirs'"),
    "no shape": ("class Theirs:\n    name = 'Theirs'", "Theirs has none of the three shapes"),
    "needs arguments": ("class Theirs:\n    def __init__(self, limit): ...", "missing 1 required positional argument"),
    "codes are a list": (
        WELL.format(name="Theirs", body="return None").replace("= COMMON_CODES", "= ['a']"),
        "`reason_codes` must be a frozenset",
    ),
    "kind unknown": (
        WELL.format(name="Theirs", body="return None").replace("'tool_call'", "'tool'"),
        "`kinds` must be a frozenset of kinds of steps: agent,",
    ),
    "version is a number": (
        WELL.format(name="Theirs", body="return None").replace("version = '1'", "version = 1"),
        "`version` must be a text, not 1",
    ),
    "name is ours": (
        WELL.format(name="Theirs", body="return None").replace("name = 'Theirs'", "name = 'ToolCallSuccess'"),
        "the name 'ToolCallSuccess' is taken by Stepwatch itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", BROKEN)
def test_what_cannot_run_is_told_with_its_distribution(installed, fault):
    code, said = BROKEN[fault]
    installed("their-package", "theirs", code, "Theirs = theirs:Theirs")
    with pytest.raises(UserError) as caught:
        load_custom()
    assert str(caught.value).startswith("their-package 1.2: evaluator Theirs = theirs:Theirs: ")
    assert said in str(caught.value)


def test_two_packages_that_claim_one_name_are_both_named(installed):
    for module in ("first", "second"):
        code = WELL.format(name="Same", body="return None")
        installed(f"{module}-package", module, code, f"Same = {module}:Same")
    with pytest.raises(UserError, match=r"second-package 1\.2.*'Same' is taken by first-package 1\.2"):
        load_custom()


def test_all_broken_packages_are_told_at_once():
    points = [EntryPoint(name, f"no_such_{name}:X", GROUP) for name in ("a", "b")]
    with pytest.raises(UserError) as caught:
        load_custom(points)
    assert len(str(caught.value).splitlines()) == 2
