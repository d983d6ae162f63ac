"""The list of evaluators. Adding one is one file, one line here, and one set of cases.

The order is the order of results about one target. Combining evaluators come last, and see what stands before them.
"""

from typing import Final

from evaluators.budgets import StepLatencyBudget, TrajectoryLatencyBudget
from evaluators.calls import FunctionCallAccuracy, FunctionCallAccuracyByRegistry
from evaluators.caps import IterationCap
from evaluators.completion import TaskCompletion
from evaluators.costs import CostBudget
from evaluators.efficiency import StepEfficiency
from evaluators.entity import EntityConsistency
from evaluators.fault import FirstFault
from evaluators.goal import GoalProgress
from evaluators.handoff import HandoffQuality
from evaluators.parameters import ParameterValidation
from evaluators.policy import PolicyCompliance
from evaluators.protocols import Evaluator
from evaluators.provenance import ArgumentProvenance
from evaluators.reasoning import ReasoningQuality
from evaluators.selection import ToolSelectionAccuracy
from evaluators.success import ToolCallSuccess
from evaluators.total import TrajectoryScore
from evaluators.verification import VerifierPass

EVALUATORS: Final[tuple[Evaluator, ...]] = (
    ToolSelectionAccuracy(),
    ParameterValidation(),
    ToolCallSuccess(),
    StepLatencyBudget(),
    ArgumentProvenance(),
    EntityConsistency(),
    ReasoningQuality(),
    FunctionCallAccuracy(),
    HandoffQuality(),
    VerifierPass(),
    PolicyCompliance(),
    StepEfficiency(),
    TaskCompletion(),
    GoalProgress(),
    IterationCap(),
    TrajectoryLatencyBudget(),
    CostBudget(),
    FunctionCallAccuracyByRegistry(),
    TrajectoryScore(),
    FirstFault(),
)
