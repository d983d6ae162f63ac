"""What was seen of workflows, written down as `workflows.yaml` for a person to read, correct and keep.

The law: `parse_registry` accepts the text; guesses are marked as such, with their reason; what is only proposed
(budgets, caps) stands in comments, and changes nothing until somebody takes the sign away.
"""

import json
import re
from collections.abc import Iterator
from math import ceil, floor, log10
from typing import Any

import yaml

from streams.core.guess import Guess, guess_writes
from streams.core.infer import AGENTS_MAX, Draft, SeenTool, SeenWorkflow

LINE_MAX = 100  # a mapping or list that fits into so many characters stays on its line
BUDGET_CALLS_MIN = 20  # fewer have no 99th percentile that means anything
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS_OF_YAML = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
HEAD = """\
# A draft by `stepwatch workflows infer`, from {runs}. Read it before you apply it:
# - schemas say what worked so far, not all that is right: look at `required`, `enum` and formats;
# - `writes` is a guess where it says so; writes decide whether a task was done, so put it right;
# - budgets and caps are proposals in comments: take the # away where they fit."""


def draft_text(draft: Draft) -> str:
    """The registry."""
    lines = [HEAD.format(runs=_count(draft.runs, "run")), "workflows:" if draft.workflows else "workflows: []"]
    for name, seen in sorted(draft.workflows.items(), key=lambda item: (-item[1].runs, item[0])):
        lines += _workflow(name, seen)
    if draft.left_out:
        lines.append(f"# {_count(draft.left_out, 'run')} of further workflows left out: are their names ids?")
    return "\n".join(lines) + "\n"


def _workflow(name: str, seen: SeenWorkflow) -> Iterator[str]:
    yield f"  - name: {scalar(_literal(name))} # {_count(seen.runs, 'run')}"
    agents = sorted(seen.agents)
    if len(agents) > AGENTS_MAX:
        yield f"    # agents: more than {AGENTS_MAX} names were seen; are they ids?"
    elif agents:
        yield from _block("agents", agents, "    ")
    if seen.tools:
        yield "    tools:"
    for tool_name, tool in sorted(seen.tools.items(), key=lambda item: (-item[1].calls, item[0])):
        yield from _tool(tool_name, tool)
    if seen.tools_left_out:
        yield f"    # only the first {len(seen.tools)} tools are here"
    yield "    # policy:"
    yield f"    #   max_steps: {max(10, _rounded_up(1.5 * seen.steps.greatest))} # most steps of a run: {seen.steps.greatest:.0f}"
    if seen.repeats:
        yield f"    #   max_repeats: {max(3, seen.repeats)} # most equal calls of a run that worked: {seen.repeats}"
    if seen.took_ms.count >= BUDGET_CALLS_MIN:
        p99 = seen.took_ms.at(0.99)
        yield f"    #   latency_budget_ms: {_rounded_up(p99)} # p99 of {_count(seen.took_ms.count, 'run')}: {_ms(p99)}"


def _tool(name: str, tool: SeenTool) -> Iterator[str]:
    failed = tool.calls - tool.executed
    called = _count(tool.calls, "call") + (f", {failed} of them failed" if failed else "")
    yield f"      - name: {scalar(name)} # {called if tool.calls else 'offered, never called'}"
    guess = Guess(False, "it hands the run over") if tool.hands_over else guess_writes(name, tool.way)
    if guess.writes:
        yield f"        writes: true # a guess: {guess.reason}"
    else:
        yield f"        # reads, as a guess: {guess.reason}"
    yield from _parameters(tool)
    if tool.calls >= BUDGET_CALLS_MIN:
        p99 = tool.took_ms.at(0.99)
        yield f"        # latency_budget_ms: {_rounded_up(p99)} # p99 of {_count(tool.calls, 'call')}: {_ms(p99)}"


def _parameters(tool: SeenTool) -> Iterator[str]:
    if tool.offered is not None:
        yield from _block("parameters", dict(tool.offered), "        ", "as models were offered it")
        return
    worked = tool.arguments.seen > 0
    shape = tool.arguments if worked else tool.attempted
    if shape.seen:
        source = f"of {_count(shape.seen, 'call')} that {'worked' if worked else 'failed; none worked'}"
        yield from _block("parameters", shape.schema(), "        ", source)
    elif tool.calls:
        yield "        # its arguments were not captured"


def _block(key: str, value: Any, indent: str, comment: str = "") -> Iterator[str]:
    """`key: value`, over as many lines as it takes to stay readable."""
    begin, end = f"{indent}{scalar(key)}:", f" # {comment}" if comment else ""
    flow = _flow(value)
    if len(begin) + len(flow) < LINE_MAX or not value or not isinstance(value, dict | list):
        yield f"{begin} {flow}{end}"
        return
    yield begin + end
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _block(str(inner), item, indent + "  ")
        return
    for item in value:
        yield f"{indent}  - {_flow(item)}"


def _flow(value: Any) -> str:
    """A value on one line, as YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(str(key))}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A plain value as YAML that reads back as itself."""
    if not isinstance(value, str):
        text = json.dumps(value)
        return text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text
    if _PLAIN.fullmatch(value) and value.lower() not in _WORDS_OF_YAML:
        return value
    quoted: str = yaml.dump(value, default_style='"', width=float("inf"), allow_unicode=False)
    return quoted.strip()


def _literal(name: str) -> str:
    """A workflow's name as a pattern that fits it alone."""
    return re.sub(r"([*?[])", r"[\1]", name)


def _rounded_up(number: float) -> int:
    """To two digits, at least 1."""
    if number <= 1:
        return 1
    step = 10.0 ** max(0, floor(log10(number)) - 1)
    return int(ceil(number / step) * step)


def _ms(number: float) -> str:
    return f"{number:.0f} ms" if number >= 1 else "under 1 ms"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
