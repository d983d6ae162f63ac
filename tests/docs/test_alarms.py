"""The shipped alerting rules ask of metrics that are there, and each has its procedure in docs/operations.md, whose commands
test_commands.py runs."""

import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import yaml

from streams.telemetry.instruments import INSTRUMENTS, Instrument
from streams.telemetry.metrics import Metrics
from streams.worker.telling import FLAGS
from streams.worker.watchdog import Alarm

ROOT = Path(__file__).parents[2]
(GROUP,) = yaml.safe_load((ROOT / "infra/prometheus/alerts.yaml").read_text())["groups"]
RULES = {rule["alert"]: rule for rule in GROUP["rules"]}
SECTION = re.search(
    r"^## When something is wrong\n(.*?)^## ", (ROOT / "docs/operations.md").read_text(), re.MULTILINE | re.DOTALL
)
PROCEDURES = re.findall(r"^### (\w+)\n\n(.*?)(?=^### |\Z)", SECTION[1] if SECTION else "", re.MULTILINE | re.DOTALL)


def exported() -> dict[str, Instrument]:
    """Every series name as Prometheus reads it, from a part that has all metrics."""
    found: dict[str, Instrument] = {}
    for instrument in INSTRUMENTS:
        if instrument.name.startswith(("stepwatch.build", "stepwatch.process")):
            continue  # which every part has
        metrics, attributes = Metrics("scorer"), dict.fromkeys(instrument.attributes, "x")
        before = set(re.findall(r"^(stepwatch_\w+)", metrics.page().decode(), re.MULTILINE))
        if instrument.kind == "gauge":
            metrics.observe(instrument.name, lambda attributes=attributes: [(1, attributes)])
        else:
            metrics.add(instrument.name, 1, **attributes)
        names = set(re.findall(r"^(stepwatch_\w+)", metrics.page().decode(), re.MULTILINE)) - before
        found |= dict.fromkeys(names, instrument)
        metrics.stop()
    return found


EXPORTED = exported()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_rule_asks_of_metrics_and_attributes_that_are_there(rule: dict[str, str]) -> None:
    names = set(re.findall(r"\b(stepwatch_\w+)", re.sub(r"__name__=~\"[^\"]*\"", "", rule["expr"])))
    for pattern in re.findall(r"__name__=~\"([^\"]*)\"", rule["expr"]):
        names |= {name for name in EXPORTED if re.fullmatch(pattern, name)}
    assert names
    assert names <= EXPORTED.keys()
    asked = set(re.findall(r"(\w+)(?:=~?|!=)\"", rule["expr"])) - {"__name__"}
    for group in re.findall(r"by \(([\w, ]+)\)", rule["expr"]):
        asked |= set(group.split(", ")) - {"le"}
    for name in names:
        assert asked <= set(EXPORTED[name].attributes), name


def test_every_rule_has_its_procedure_and_every_procedure_its_rule() -> None:
    assert sorted(name for name, _ in PROCEDURES) == sorted(RULES)
    assert all(len(text.split()) > 20 for _, text in PROCEDURES)


def test_every_kind_of_alarm_of_the_watchdog_is_explained() -> None:
    text = dict(PROCEDURES)["WatchdogAlarm"]
    assert all(f"`{kind}`" in text for kind in get_args(get_type_hints(Alarm)["kind"]))


def test_the_flags_that_a_rule_looks_for_are_told() -> None:
    (flags,) = re.findall(r"flag=~\"([^\"]*)\"", RULES["RunsTooLarge"]["expr"])
    assert set(flags.split("|")) <= set(FLAGS)
