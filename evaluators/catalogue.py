"""The list of evaluators. Adding one is one file, one line here, and one set of cases.

The order is the order of results about one target. Combining evaluators come last, and see what stands before them.
"""

from evaluators.base import Evaluator
from evaluators.budgets import StepLatencyBudget, TrajectoryLatencyBudget
from evaluators.calls import FunctionCallAccuracy, FunctionCallAccuracyByRegistry
from evaluators.caps import IterationCap
from evaluators.completion import TaskCompletion
from evaluators.costs import CostBudget
from evaluators.efficiency import StepEfficiency
from evaluators.fault import FirstFault
from evaluators.goal import GoalProgress
from evaluators.parameters import ParameterValidation
from evaluators.success import ToolCallSuccess
from evaluators.total import TrajectoryScore

EVALUATORS: tuple[Evaluator, ...] = (
    ParameterValidation(),
    ToolCallSuccess(),
    StepLatencyBudget(),
    FunctionCallAccuracy(),
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
