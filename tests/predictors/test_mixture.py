"""Expected latency of a mixture: exact at its corners, gradient equal to finite differences."""

import numpy as np
import pytest

from foretell.datasets.spaces.base import space
from foretell.errors import InputError
from foretell.features.architecture import Basis
from foretell.predictors.device_prior import Prior
from foretell.predictors.few_shot import adapt
from foretell.predictors.mixture import SIZES, Mixture


@pytest.fixture(scope="module", params=sorted(SIZES))
def adapted(request):
    searched = space(request.param)
    choices = searched.random(16, np.random.default_rng(0))
    latency_ms = np.array([searched.network(row).operations / 5e7 for row in choices.tolist()])
    return adapt(Prior.of(Basis.of(searched), []), choices, latency_ms)


@pytest.fixture(scope="module")
def mixture(adapted):
    return Mixture.of(adapted)


def drawn(mixture, seed):
    shape = len(mixture.sizes), max(mixture.sizes)
    return np.random.default_rng(seed).dirichlet(np.ones(shape[1]), size=shape[0])


def test_a_mixture_of_one_architecture_is_that_architecture(adapted, mixture):
    choices = space(adapted.basis.name).random(5, np.random.default_rng(1))
    for row, mean_ms in zip(choices, adapted.moments_ms(choices)[0], strict=True):
        certain = np.eye(max(mixture.sizes))[row]
        assert mixture.expected_ms(certain)[0] == pytest.approx(mean_ms, rel=1e-9)


def test_the_gradient_equals_finite_differences(mixture):
    """The expectation is linear in each row, so that a step of any size gives the derivative exactly."""
    probabilities, other = drawn(mixture, 2), drawn(mixture, 3)
    value, gradient = mixture.expected_ms(probabilities)
    for position in range(len(mixture.sizes)):
        moved = probabilities.copy()
        moved[position] = other[position]
        change = mixture.expected_ms(moved)[0] - value
        step = other[position] - probabilities[position]
        assert change == pytest.approx(gradient[position] @ step, rel=1e-6, abs=1e-9)


def test_the_expectation_is_the_mean_of_draws(adapted, mixture):
    rng = np.random.default_rng(4)
    probabilities = drawn(mixture, 5)
    choices = np.stack([rng.choice(len(row), size=4000, p=row) for row in probabilities], axis=1)
    mean_ms = adapted.moments_ms(choices)[0]
    # Four standard errors of the mean.
    error = 4 * mean_ms.std() / np.sqrt(len(mean_ms))
    assert mixture.expected_ms(probabilities)[0] == pytest.approx(mean_ms.mean(), abs=error)


def test_rows_that_are_no_distribution_are_refused(mixture):
    wrong = drawn(mixture, 6)
    wrong[2] *= 1.1
    with pytest.raises(InputError, match=r"probabilities\[2\]"):
        mixture.expected_ms(wrong)
    with pytest.raises(InputError, match="probabilities"):
        mixture.expected_ms(wrong[1:])


def test_a_space_of_dependent_positions_is_refused():
    searched = space("ofa")
    choices = searched.random(8, np.random.default_rng(0))
    adapted = adapt(Prior.of(Basis.of(searched), []), choices, np.arange(1.0, 9.0))
    with pytest.raises(InputError, match="space: got 'ofa'"):
        Mixture.of(adapted)
