"""The descriptions can be used as they are, and their runs are a function of them."""

from collections import Counter
from itertools import islice

import pytest
import yaml

from schemas.config import ConfigError
from schemas.rules import parse_rules
from streams.demo.evening import EXAMPLES
from tests.scenarios.casting import cast, runs
from tests.scenarios.scenario import RULES, Scenario, read, read_all

ALL = read_all()


@pytest.mark.parametrize("name", [name for name, scenario in ALL.items() if not scenario.day])
def test_a_scenario_names_rules_and_tools_that_exist_and_faults_that_happen(name: str) -> None:
    scenario = ALL[name]
    uids = parse_rules(RULES.read_text(), "rules.yaml").by_uid()
    known = yaml.safe_load((EXAMPLES / "workflows.yaml").read_text())["workflows"]
    tools = {tool["name"] for workflow in known if workflow["name"] == scenario.play for tool in workflow["tools"]}
    faults = [fault for phase in scenario.phases for fault in phase.faults]
    assert {fires.rule for fires in scenario.fires} <= set(uids)
    assert {fault.tool for fault in faults if fault.tool} <= tools
    struck = Counter(kind for run in runs(name, scenario) for kind in run.struck)
    assert set(struck) == {fault.kind for fault in faults}, "every fault strikes"
    assert {kind for fires in scenario.fires for kind in fires.bad} <= set(struck)


def test_seeds_differ() -> None:
    assert max(Counter(scenario.seed for scenario in ALL.values()).values()) == 1


def test_the_runs_of_all_scenarios_come_by_time_and_are_the_same_each_time() -> None:
    first, again = list(islice(cast(ALL), 300)), list(islice(cast(ALL), 300))
    assert first == again
    assert [run.at_s for run in first] == sorted(run.at_s for run in first)


def test_a_share_that_grows_and_a_fault_of_one_run_strike_as_they_say() -> None:
    phase = {"runs": 400, "seconds": 4, "releases": ["1"]}
    grows = {"kind": "swallowed_error", "tool": "update_crm", "share": 0.0, "grows_to": 1.0}
    once = {"kind": "missing_argument", "tool": "update_crm", "runs": 1}
    scenario = Scenario.model_validate({"about": "", "seed": 1, "phases": [{**phase, "faults": [grows, once]}]})
    found = list(runs("drift", scenario))
    early, late = (sum("swallowed_error" in r.struck for r in part) for part in (found[:200], found[200:]))
    assert 25 <= early <= 75 and 125 <= late <= 175
    assert sum("missing_argument" in run.struck for run in found) == 1


def test_a_slip_is_told_with_its_file_and_line(tmp_path) -> None:
    path = tmp_path / "slip.yaml"
    path.write_text("about: a slip\nseed: 1\nphases:\n  - {runs: 3, seconds: 1, fault: []}\n")
    with pytest.raises(ConfigError, match=r"slip\.yaml:4"):
        read(path)
