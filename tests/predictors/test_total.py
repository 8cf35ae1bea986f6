"""Sums of predictions whose errors go together: against a plain loop, and against draws of such errors."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.predictors.total import SAME_DEVICE, SAME_TABLE, correlations, sum_quantiles

LEVELS = (0.05, 0.5, 0.95)
SHAPES = ("a", "b", "b", "c", "d")
TABLES = ("gemm", "gemm", "gemm", "gemm", "moe")
GUESSED = (False, False, False, True, True)
VALUES = np.array([[9, 10, 12], [40, 50, 55], [40, 50, 55], [1, 6, 36], [10, 60, 360]], dtype=float)
COUNTS = np.array([32.0, 64.0, 1.0, 5.0, 1.0])


@pytest.fixture
def correlation():
    return correlations(SHAPES, TABLES, GUESSED)


def test_errors_go_together_by_what_terms_share(correlation):
    assert np.array_equal(correlation, correlation.T)
    assert np.array_equal(np.diag(correlation), np.ones(5))
    assert correlation[1, 2] == 1.0  # one shape
    assert correlation[0, 1] == SAME_TABLE
    assert correlation[0, 3] == correlation[0, 4] == SAME_DEVICE
    assert correlation[3, 4] == 1.0  # two guesses


def test_no_errors_could_be_further_apart_than_together(correlation):
    # A matrix of correlations has no negative eigenvalue; 1e-12 is rounding.
    assert np.linalg.eigvalsh(correlation).min() >= -1e-12
    assert 0 < SAME_DEVICE < SAME_TABLE < 1


def test_the_sum_is_what_a_plain_loop_makes_of_the_formula(correlation):
    found = sum_quantiles(VALUES, COUNTS, correlation, 1)
    for level, sign in ((0, -1), (1, 0), (2, 1)):
        square = 0.0
        for i, j in itertools.product(range(5), range(5)):
            departures = [COUNTS[n] * (VALUES[n, level] - VALUES[n, 1]) for n in (i, j)]
            square += correlation[i, j] * departures[0] * departures[1]
        middle = sum(count * value for count, value in zip(COUNTS, VALUES[:, 1], strict=True))
        # Rounding of sums of 25 terms.
        assert found[level] == pytest.approx(middle + sign * math.sqrt(square), rel=1e-12)


def test_one_shape_many_times_has_the_interval_of_one():
    found = sum_quantiles(VALUES[:1], np.array([1000.0]), np.ones((1, 1)), 1)
    assert found == pytest.approx(1000 * VALUES[0])


@settings(max_examples=50, deadline=None)
@given(
    middles=st.lists(st.floats(1e-2, 1e6), min_size=1, max_size=12),
    factor=st.floats(1.0, 50.0),
    guesses=st.integers(0, 12),
)
def test_the_sum_is_positive_and_between_independent_and_equal_errors(middles, factor, guesses):
    middle = np.array(middles)
    values = np.stack([middle / factor, middle, middle * factor], axis=1)
    terms = len(middles)
    correlation = correlations(range(terms), ["one"] * terms, [n < guesses for n in range(terms)])
    found, apart, equal = (
        sum_quantiles(values, np.ones(terms), each, 1)
        for each in (correlation, np.eye(terms), np.ones((terms, terms)))
    )
    assert 0 < found[0] <= found[1] <= found[2]
    # Rounding only.
    assert equal[0] * (1 - 1e-9) <= found[0] <= apart[0] * (1 + 1e-9)
    assert apart[2] * (1 - 1e-9) <= found[2] <= equal[2] * (1 + 1e-9)


def test_sums_of_errors_with_these_correlations_are_covered(correlation):
    rng = np.random.default_rng(0)
    drawn = rng.multivariate_normal(np.zeros(5), correlation, size=20_000)
    sigma = np.array([0.05, 0.02, 0.02, 0.1, 0.08])
    middle = VALUES[:, 1]
    reach = 1.6449 * sigma
    values = middle[:, None] * np.stack([1 - reach, np.ones(5), 1 + reach], axis=1)
    low, _, high = sum_quantiles(values, COUNTS, correlation, 1)
    sums = (middle * (1 + sigma * drawn)) @ COUNTS
    # 20,000 draws scatter a coverage of 0.9 by 0.0021; four of those.
    assert np.mean((low <= sums) & (sums <= high)) == pytest.approx(0.9, abs=0.0085)
