"""Laws that cannot fail prove nothing: each of them refutes a toy evaluator that breaks it, and none an honest one."""

import pytest
from hypothesis import Phase, given, settings

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Evaluator
from tests.contract import laws, toys
from tests.contract.generated import Case, cases
from tests.contract.laws import LAWS, Law
from tests.contract.work import RATIO_MAX, growth

SINS: list[tuple[Law, tuple[Evaluator, ...]]] = [
    (laws.well_formed, (toys.Revises(),)),
    (laws.well_formed, (toys.Backwards(),)),
    (laws.well_formed, (toys.Throws(),)),
    (laws.nothing_is_remembered, (toys.FirstWins(),)),
    (laws.order_and_repetition_do_not_matter, (toys.ByReceivedTime(),)),
    (laws.a_span_alone_is_judged_as_in_its_trace, (toys.ByPlace(),)),
    (laws.company_does_not_matter, (toys.Feeds(), toys.KindsLie())),
    (laws.every_prefix_is_answered_as_if_it_were_all, (toys.Feeds(), toys.KindsLie())),
    (laws.every_prefix_is_answered_as_if_it_were_all, (toys.FinishCounts(),)),
    (laws.asking_changes_nothing, (toys.FinishCounts(),)),
    (laws.asking_changes_nothing, (toys.ReadsSteps(),)),
    (laws.asking_changes_nothing, (toys.ReadsFlags(),)),
    (laws.the_engine_says_at_every_flush_what_a_batch_says, (toys.ByReceivedTime(),)),
    (laws.the_store_gives_back_what_memory_forgot, (toys.ByReceivedTime(),)),
]


def hold(law: Law, evaluators: tuple[Evaluator, ...]) -> None:
    """Try the law on the same generated cases every time."""

    @settings(max_examples=100, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(case=cases())
    def tried(case: Case) -> None:
        law(case, evaluators)

    tried()


@pytest.mark.parametrize(
    ("law", "sinners"), SINS, ids=[f"{law.__name__}-{type(sinners[-1]).__name__}" for law, sinners in SINS]
)
def test_a_law_refutes_the_evaluator_that_breaks_it(law: Law, sinners: tuple[Evaluator, ...]) -> None:
    with pytest.raises(AssertionError):
        hold(law, sinners)


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_law_refutes_somebody_and_lets_an_honest_evaluator_be(law: Law) -> None:
    assert law in [broken for broken, _ in SINS]
    hold(law, (toys.Counting(),))


@pytest.mark.parametrize("toy", [toys.Quadratic(), toys.QuadraticTogether()], ids=lambda t: type(t).__name__)
def test_work_that_is_quadratic_is_found(toy: Evaluator) -> None:
    assert growth(toy, (*EVALUATORS, toy), "other reads") > RATIO_MAX


def test_work_is_counted_the_same_every_time_and_linear_work_is_let_be() -> None:
    honest = toys.Counting()
    first, again = growth(honest, (honest,), "mixed"), growth(honest, (honest,), "mixed")
    assert first == again <= RATIO_MAX
