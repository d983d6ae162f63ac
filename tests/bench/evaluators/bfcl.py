"""Function-calling cases with sets of acceptable answers: nothing right is refused, every class of mistake is caught."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from evaluators.catalogue import EVALUATORS
from evaluators.judge import judge, judge_span
from schemas.expectation import TaskTruth
from schemas.registry import Workflow
from tests.bench.evaluators.data import lines
from tests.bench.evaluators.mutations import CLASSES, Arguments, Mutant, as_schema, fits, mutants, plain
from tests.bench.evaluators.report import Figure, Section
from tests.builders import result_of, tool_span, trajectory, truth, workflow

CAUGHT = 0.995
FIRST, OTHER, OMITTED = "first answer", "another acceptable answer", "omitted optional"
Call = tuple[str, Arguments]


class Case(NamedTuple):
    """One case: its functions, and per expected call the alternatives of each argument; "" means it may be left out."""

    id: str
    functions: list[dict[str, Any]]  # {name, parameters} as JSON Schema
    workflow: Workflow
    answers: list[tuple[str, dict[str, list[Any]]]]

    def schema(self, name: str) -> Any:
        """The function's parameters."""
        return self.workflow.tools[name].parameters or {}

    @property
    def first(self) -> list[Call]:
        """The first acceptable answer, with every argument that has a value."""
        return [(name, _given({k: v[0] for k, v in arguments.items()})) for name, arguments in self.answers]

    @property
    def expected(self) -> TaskTruth:
        """Task truth: the first answer, and all others through `acceptable`."""
        calls = zip(self.first, self.answers, strict=True)
        return truth(*({"name": n, "arguments": given, "acceptable": every} for (n, given), (_, every) in calls))

    def others(self) -> Iterator[list[Call]]:
        """Answers that differ from the first in one argument of one call, and are as right."""
        for at, (name, arguments) in enumerate(self.answers):
            for key, values in arguments.items():
                for value in values[1:]:
                    if value == "" and not self.may_lack(at, key):
                        continue
                    changed = _given({**self.first[at][1], key: value})
                    yield [*self.first[:at], (name, changed), *self.first[at + 1 :]]

    def shortest(self) -> list[Call]:
        """The answer without all that may be left out; the function itself must not require it."""
        return [
            (name, {k: v for k, v in first.items() if not self.may_lack(at, k)})
            for at, (name, first) in enumerate(self.first)
        ]

    def may_lack(self, at: int, key: str) -> bool:
        """Whether this argument of this expected call may be left out."""
        name, arguments = self.answers[at]
        return "" in arguments[key] and key not in self.schema(name).get("required", ())

    def contradicts_itself(self, made: Sequence[Call]) -> bool:
        """Whether an answer breaks what the case itself declares (names, types, enums): a slip of the data."""
        return any(
            not fits(self.schema(name), arguments) or arguments.keys() - self.schema(name).get("properties", {}).keys()
            for name, arguments in made
        )

    def wrong(self) -> Iterator[tuple[int, Mutant]]:
        """Mutants of the first answer, each with the place of its call: each breaks the declared schema."""
        for at, (name, arguments) in enumerate(self.first):
            if self.contradicts_itself([(name, arguments)]):
                continue
            for mutant in mutants(name, self.schema(name), arguments):
                yield at, mutant

    def tolerates(self, at: int, mutant: Mutant) -> bool:
        """Whether the answers let an argument be left out that the schema requires: then truth has nothing against it."""
        name, arguments = self.first[at]
        lost = arguments.keys() - mutant.arguments.keys()
        return mutant.name == name and bool(lost) and all("" in self.answers[at][1][key] for key in lost)


def _given(arguments: Arguments) -> Arguments:
    return {key: value for key, value in arguments.items() if value != ""}


class Cases:
    """All cases of the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def all(self) -> list[Case]:
        """The cases, file by file."""
        return [_case(line) for path in sorted(self.folder.glob("*.jsonl")) for line in lines(path)]


def _case(line: dict[str, Any]) -> Case:
    functions = [{"name": f["name"], "parameters": as_schema(f["parameters"])} for f in line["functions"]]
    answers = [
        (name, {key: [one for value in values for one in plain(value)] for key, values in arguments.items()})
        for answer in line["possible_answers"]
        for name, arguments in answer.items()
    ]
    return Case(line["id"], functions, workflow("case", tools=functions), answers)


class Tally:
    """How many of how many, by class."""

    def __init__(self) -> None:
        self.hits: dict[str, int] = defaultdict(int)
        self.all: dict[str, int] = defaultdict(int)

    def add(self, sort: str, hit: bool) -> None:
        self.all[sort] += 1
        self.hits[sort] += hit

    def share(self, sort: str) -> float:
        return self.hits[sort] / self.all[sort] if self.all[sort] else float("nan")

    def said(self, sort: str) -> str:
        return f"{self.hits[sort]:,} of {self.all[sort]:,}" + (f" ({self.share(sort):.1%})" if self.all[sort] else "")


class Questions:
    """The same questions for us and for a rival: calls to validate, and answers to compare with the expected ones."""

    def __init__(self, cases: Cases) -> None:
        self.validations: list[tuple[str, Case, Call]] = []
        self.comparisons: list[tuple[str, Case, list[Call]]] = []
        self.contradictory = 0
        for case in cases.all:
            for sort, made in _acceptable(case):
                self.comparisons.append((sort, case, made))
                if case.contradicts_itself(made):
                    self.contradictory += 1
                else:
                    self.validations += [("acceptable", case, call) for call in made]
            for at, mutant in case.wrong():
                call = (mutant.name, mutant.arguments)
                self.validations.append((mutant.sort, case, call))
                if not case.tolerates(at, mutant):
                    self.comparisons.append((mutant.sort, case, [*case.first[:at], call, *case.first[at + 1 :]]))

    def for_rival(self) -> dict[str, Any]:
        """The questions as JSON for its worker."""
        return {
            "functions": {case.id: case.functions for _, case, _ in self.validations},
            "checks": [[case.id, call] for _, case, call in self.validations],
            "comparisons": [[made, case.first] for _, case, made in self.comparisons],
        }

    def ours(self) -> tuple[list[float], list[float]]:
        """Our ParameterValidation of each call, our FunctionCallAccuracy of each answer."""
        validated = [_validity(case.workflow, call) for _, case, call in self.validations]
        chosen = tuple(e for e in EVALUATORS if e.name == "FunctionCallAccuracy")
        truths = {case.id: case.expected for _, case, _ in self.comparisons}
        compared = []
        for _, case, made in self.comparisons:
            spans = [tool_span(n, name, arguments) for n, (name, arguments) in enumerate(made, 1)]
            seen = trajectory(*spans, workflow=case.workflow, truth=truths[case.id])
            compared.append(result_of(judge(seen, None, chosen), "FunctionCallAccuracy").score or 0.0)
        return validated, compared


def _acceptable(case: Case) -> Iterator[tuple[str, list[Call]]]:
    first, shortest = case.first, case.shortest()
    yield FIRST, first
    if shortest != first:
        yield OMITTED, shortest
    yield from ((OTHER, made) for made in case.others() if made not in (first, shortest))


def _validity(shop: Workflow, call: Call) -> float:
    chosen = tuple(e for e in EVALUATORS if e.name == "ParameterValidation")
    found = result_of(judge_span(tool_span(1, *call), shop, chosen), "ParameterValidation", 1)
    return 1.0 if found.verdict == "pass" else 0.0


def sections(
    questions: Questions, ours: tuple[list[float], list[float]], rival: tuple[list[float], list[float]] | None
) -> list[Section]:
    """Both tables, with the rival's column where it was asked."""
    columns = ("ours", "ai-evaluation") if rival else ("ours",)
    validated = [_validated(questions, given[0]) for given in (ours, rival) if given]
    compared = [_compared(questions, given[1]) for given in (ours, rival) if given]
    right = "acceptable"
    figures = [
        Figure("acceptable answers accepted", _row(validated, right), "100 %", validated[0].share(right) == 1),
        *(_caught(validated, sort, CAUGHT) for sort in CLASSES),
    ]
    slips = (
        f"{questions.contradictory} answers break what their own case declares (a name, a type, an enum) and are left out. "
        "Each class of mistake is made wherever the case's schema forbids it."
    )
    accuracy = [
        *(
            Figure(f"{sort} = 1", _row(compared, sort), "100 %", compared[0].share(sort) == 1)
            for sort in (FIRST, OTHER, OMITTED)
        ),
        *(_caught(compared, sort, 1.0) for sort in CLASSES),
    ]
    return [
        Section("ParameterValidation on function-calling cases", columns, figures, slips),
        Section(
            "FunctionCallAccuracy on function-calling cases", columns, accuracy, "A mistake counts as seen below 1."
        ),
    ]


def _validated(questions: Questions, scores: Sequence[float]) -> Tally:
    tally = Tally()
    for (sort, _, _), score in zip(questions.validations, scores, strict=True):
        tally.add(sort, (score == 1) == (sort == "acceptable"))
    return tally


def _compared(questions: Questions, scores: Sequence[float]) -> Tally:
    tally = Tally()
    for (sort, _, _), score in zip(questions.comparisons, scores, strict=True):
        tally.add(sort, (score < 1) == (sort in CLASSES))
    return tally


def _row(tallies: Sequence[Tally], sort: str) -> tuple[str, ...]:
    return tuple(tally.said(sort) for tally in tallies)


def _caught(tallies: Sequence[Tally], sort: str, target: float) -> Figure:
    return Figure(f"{sort} caught", _row(tallies, sort), f">= {target:.1%}", tallies[0].share(sort) >= target)
