"""The figures against arithmetic done by hand."""

import numpy as np
import pytest

from foretell.errors import InputError
from foretell.predictors.base import LEVELS, Prediction
from foretell.training.metrics import ape_percent, macro, point_scores, scores

ACTUAL = np.array([100.0, 100.0, 50.0, 200.0])


@pytest.fixture
def prediction():
    """Errors of 10, 10, 100 and 0 %; the third row lies outside of its interval, the last on its edge."""
    values = np.array(
        [[100.0, 110.0, 120.0], [80.0, 90.0, 120.0], [80.0, 100.0, 140.0], [200.0, 200.0, 300.0]]
    )
    return Prediction("gemm.latency", "us", LEVELS, values, np.zeros(4, dtype=bool))


def test_errors_are_in_percent_of_what_was_measured():
    # Rounding of a quotient and a difference: a few units in the last place.
    np.testing.assert_allclose(
        ape_percent(np.array([110.0, 50.0]), np.array([100.0, 100.0])), [10, 50], rtol=1e-14
    )


def test_point_scores_by_hand():
    found = point_scores(np.array([110.0, 90.0, 100.0, 200.0]), ACTUAL)
    assert found == pytest.approx({"mape": 30.0, "median_ape": 10.0})


def test_scores_by_hand(prediction):
    widths = [20 / 110, 40 / 90, 60 / 100, 100 / 200]
    assert scores(prediction, ACTUAL) == pytest.approx(
        {"mape": 30.0, "median_ape": 10.0, "coverage_90": 75.0, "width_90": 100 * sum(widths) / 4}
    )


def test_each_group_counts_the_same():
    assert macro([{"mape": 2.0}, {"mape": 4.0}, {"mape": 9.0}]) == {"mape": 5.0}


def test_no_groups_have_no_figures():
    assert macro([]) == {}


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0.0, -1.0])
def test_a_value_that_no_time_can_have_is_refused_by_its_row(prediction, wrong):
    spoilt = ACTUAL.copy()
    spoilt[2] = wrong
    with pytest.raises(InputError, match=r"actual\[2\]: got .*, expected a positive finite number"):
        scores(prediction, spoilt)
    with pytest.raises(InputError, match=r"predicted\[2\]"):
        point_scores(spoilt, ACTUAL)
