"""Rules against the registry: a rule that can never match because of a slip is told before it is published.

The law: what is told is a slip. A rule may speak of workflows, agents and evaluators that the registry does not list, so
only a name that is near to a known one, and matches nothing known, is refused; step kinds are a closed list.
"""

import difflib
from collections.abc import Iterable, Iterator

from schemas.config import LineOf, Path, Problem, read_yaml
from schemas.registry import EVALUATOR_NAMES, Registry
from schemas.rule import Match, glob_fits
from schemas.rules import parse_rules
from schemas.span import STEP_KINDS
from schemas.workflow import Workflow

NEAR = 0.8  # a ratio of difflib: one letter in a word of five
KINDS = sorted({*STEP_KINDS, "trajectory"})
LABELS = ("llm", "handoff", "human")  # what stands after the agent where no tool does


def check_rules(text: str, source: str, registry: Registry) -> list[Problem]:
    """The slips in rules that `parse_rules` accepts. Raises its ConfigError."""
    parsed = parse_rules(text, source)
    _, line_of = read_yaml(text, source)
    found = []
    for index, rule in enumerate(parsed.rules):
        for key, message in _faults(rule.match, registry):
            at = _place(("rules", index, "match", key), ("defaults", "match", key), line_of)
            found.append(Problem(source, line_of(at), f"rule {rule.uid!r}: {message}"))
    return found


def _place(own: Path, inherited: Path, line_of: LineOf) -> Path:
    """Where the key is written: in the rule, else in the defaults that it inherits."""
    return own if line_of(own) != line_of(own[:-1]) or line_of(inherited) == line_of(inherited[:1]) else inherited


def _faults(match: Match, registry: Registry) -> Iterator[tuple[str, str]]:
    if not any(glob_fits(match.step_kind, kind) for kind in KINDS):
        yield "step_kind", f"step_kind {match.step_kind!r} fits no kind of step; known: {', '.join(KINDS)}"
    workflows = [w for w in registry.exact.values() if _meet(match.workflow, w.name)]
    named = {name for workflow in registry.exact.values() for name in workflow.evaluators}
    yield from _near("evaluator", match.evaluator, match.evaluator, {*EVALUATOR_NAMES, *named})
    yield from _step_faults(match.step, workflows)


def _step_faults(step: str, workflows: list[Workflow]) -> Iterator[tuple[str, str]]:
    agent, slash, tool = step.rpartition("/")
    tools = {name for workflow in workflows for name in workflow.tools}
    agents = {name for workflow in workflows for name in workflow.agents}
    if not slash:
        yield from _near("step", step, step, {*agents, "(trajectory)"} if agents else {"(trajectory)"})
        return
    if tools:
        yield from _near("step", tool, step, {*tools, *LABELS})
    if agents:
        yield from _near("step", agent, step, {*agents, "-"})


def _meet(pattern: str, name: str) -> bool:
    """Whether a rule's pattern and a registry entry (a name or a pattern) may speak of one workflow."""
    return glob_fits(pattern, name) or glob_fits(name, pattern)


def _near(key: str, word: str, said: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    names = sorted(known)
    if any(sign in word for sign in "*?[") or word in names:
        return
    close = difflib.get_close_matches(word, names, n=1, cutoff=NEAR)
    if close:
        yield key, f"{key} {said!r}: unknown {word!r}; did you mean {close[0]!r}?"
