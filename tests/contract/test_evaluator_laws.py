"""The catalogue keeps the laws: one suite for all, so that an evaluator is covered by its line in the catalogue."""

import pytest
from hypothesis import HealthCheck, given, settings

from evaluators.catalogue import EVALUATORS
from tests.contract.generated import Case, cases
from tests.contract.laws import LAWS, Law

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(case=cases())
def test_all_evaluators_together_keep(law: Law, case: Case) -> None:
    law(case, EVALUATORS)
