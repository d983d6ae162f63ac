"""What evaluators say: a judgement, and the result row it becomes.

Unscored is not zero and not NaN: it is a verdict with a reason code. `error` is the evaluator's own fault and never counts
in a fail rate. Rates count final rows with verdict pass or fail.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

Verdict = Literal["pass", "fail", "unscored", "error"]
Basis = Literal[
    "task_truth",  # expected calls and outputs were given
    "registry",  # the workflow's tool schemas, policy and budgets
    "system_of_record",  # the state of the system the agent worked on
    "trace",  # the trace alone, reference-free
    "judge",  # a model's opinion
]
TRAJECTORY_STEP: Final = "(trajectory)"  # the step label of results about the whole trajectory
OTHER_STEP: Final = "__other__"  # the label beyond the cap of labels of one workflow


class Judgement(NamedTuple):
    """An evaluator's answer about one target. `score` lies in [0, 1] or is None."""

    verdict: Verdict
    score: float | None
    basis: Basis
    reason_code: str = ""  # from the evaluator's closed list; "" only with a plain pass
    reason: str = ""  # one sentence from which a person can recompute the score
    evidence: Mapping[str, Any] | None = None  # span ids (hex), argument paths, expected against actual; JSON-able


class Result(NamedTuple):
    """One judged target of one trace, as stored in the trace's row and printed by `stepwatch score`."""

    span_id: bytes  # b"" for the trajectory
    step: str
    agent: str
    evaluator: str
    evaluator_version: str
    verdict: Verdict
    score: float | None
    basis: Basis
    reason_code: str
    reason: str
    evidence: str  # JSON text; "" when there is none
    event_ns: int  # end of the judged span; of the trajectory: end of its last span


RESULT_COLUMNS: Final[tuple[str, ...]] = Result._fields
