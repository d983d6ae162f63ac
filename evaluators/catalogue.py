"""The list of evaluators. Adding one is one file, one line here, and one set of cases.

The order is the order of results about one target. Combining evaluators come last, and see what stands before them.
"""

from evaluators.base import Evaluator
from evaluators.budgets import StepLatencyBudget, TrajectoryLatencyBudget
from evaluators.calls import FunctionCallAccuracy, FunctionCallAccuracyByRegistry
from evaluators.caps import IterationCap
from evaluators.completion import TaskCompletion
from evaluators.efficiency import StepEfficiency
from evaluators.entity import EntityConsistency
from evaluators.parameters import ParameterValidation
from evaluators.provenance import ArgumentProvenance
from evaluators.reasoning import ReasoningQuality
from evaluators.success import ToolCallSuccess
from evaluators.total import TrajectoryScore

EVALUATORS: tuple[Evaluator, ...] = (
    ParameterValidation(),
    ToolCallSuccess(),
    StepLatencyBudget(),
    ArgumentProvenance(),
    EntityConsistency(),
    ReasoningQuality(),
    FunctionCallAccuracy(),
    StepEfficiency(),
    TaskCompletion(),
    IterationCap(),
    TrajectoryLatencyBudget(),
    FunctionCallAccuracyByRegistry(),
    TrajectoryScore(),
)
