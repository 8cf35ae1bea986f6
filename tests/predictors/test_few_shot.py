"""Adapting to a new device: recovers made-up devices, keeps its word, refuses what cannot be."""

import numpy as np
import pytest

from foretell.datasets.spaces.base import space
from foretell.errors import InputError
from foretell.features.architecture import Basis
from foretell.predictors.device_prior import Prior, fit_sources
from foretell.predictors.evidence import fit
from foretell.predictors.few_shot import MIN_SAMPLES, adapt
from foretell.predictors.sample_choice import choose_samples

SPACE = "nb201"
COSTS = {
    "eager": ("all", [0.9, 0.15, 0.0, 0.4, 0.4, 0.05]),
    "wide": ("all", [0.5, 0.1, 0.0, 0.3, 1.0, 0.3]),
    "phone": ("pruned", [0.2, 0.0, 0.05, 0.3, 2.0, 0.3]),
    "new": ("all", [0.7, 0.1, 0.02, 0.35, 0.7, 0.15]),
    "new phone": ("pruned", [0.3, 0.0, 0.02, 0.4, 1.6, 0.2]),
}
"""View, and ms of the frame and of each operation, of devices that are sums of their operations."""


def measured(device, choices, seed, noise=0.02):
    view, costs = COSTS[device]
    latency_ms = space(SPACE).parts(choices, view).counts @ np.array(costs)
    return latency_ms * np.exp(noise * np.random.default_rng(seed).standard_normal(len(choices)))


@pytest.fixture(scope="module")
def cells():
    return space(SPACE).random(900, np.random.default_rng(0))


@pytest.fixture(scope="module")
def sources(cells):
    basis = Basis.of(space(SPACE))
    found = {name: (cells, measured(name, cells, number)) for number, name in enumerate(list(COSTS)[:3])}
    return fit_sources(basis, found)


@pytest.fixture(scope="module")
def prior(sources):
    return Prior.of(Basis.of(space(SPACE)), sources)


def test_a_source_is_known_by_how_it_runs(sources):
    assert [source.view for source in sources] == ["all", "all", "pruned"]


@pytest.mark.parametrize("device", ["new", "new phone"])
def test_twenty_measurements_foretell_the_rest(prior, cells, device):
    """Noise of 2 % and costs that no source has: an error of 4 % is twice what the noise alone makes."""
    samples, rest = cells[:20], cells[20:]
    adapted = adapt(prior, samples, measured(device, samples, 7))
    low, middle, high = adapted.quantiles_ms(rest, (0.05, 0.5, 0.95)).T
    actual = measured(device, rest, 8)
    assert np.mean(np.abs(middle / actual - 1)) < 0.04
    # 880 rows of one device share the error of its weights, hence the wide bounds.
    assert 0.8 < np.mean((low <= actual) & (actual <= high)) <= 1.0


def test_a_device_ten_times_slower_is_foretold_ten_times_slower(prior, cells):
    latency_ms = measured("new", cells[:20], 7)
    once, ten = (adapt(prior, cells[:20], latency_ms * factor) for factor in (1.0, 10.0))
    np.testing.assert_allclose(
        ten.quantiles_ms(cells, (0.5,)), 10 * once.quantiles_ms(cells, (0.5,)), rtol=1e-6
    )


def test_one_wild_measurement_moves_little(prior, cells):
    latency_ms = measured("new", cells[:20], 7)
    wild = latency_ms.copy()
    wild[3] *= 5
    once, other = (adapt(prior, cells[:20], each).quantiles_ms(cells, (0.5,)) for each in (latency_ms, wild))
    # Least squares would move the mean latency by 4 / 20 = 20 %.
    assert np.mean(np.abs(other / once - 1)) < 0.05


def test_more_measurements_narrow_the_interval(prior, cells):
    few, many = (
        adapt(prior, cells[:count], measured("new", cells[:count], 7)).quantiles_ms(cells, (0.05, 0.95))
        for count in (6, 60)
    )
    assert np.log(many[:, 1] / many[:, 0]).mean() < np.log(few[:, 1] / few[:, 0]).mean()


def test_samples_that_were_chosen_are_different_and_tell_views_apart(prior, cells):
    chosen = choose_samples(prior, cells, 12)
    assert len(set(chosen)) == 12
    runs = [space(SPACE).parts(cells[chosen], view).counts for view in space(SPACE).views]
    assert (runs[0] != runs[1]).any(axis=1).sum() >= 2


def test_more_samples_than_candidates_are_refused(prior, cells):
    with pytest.raises(InputError, match="candidates: got 3"):
        choose_samples(prior, cells[:3], 4)


def test_too_few_measurements_are_refused(prior, cells):
    count = MIN_SAMPLES - 1
    with pytest.raises(InputError, match=f"measurements: got {count}, expected {MIN_SAMPLES} or more"):
        adapt(prior, cells[:count], np.ones(count))


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf])
def test_a_latency_that_cannot_be_is_refused(prior, cells, wrong):
    latency_ms = measured("new", cells[:20], 7)
    latency_ms[4] = wrong
    with pytest.raises(InputError, match=r"latency_ms\[4\]"):
        adapt(prior, cells[:20], latency_ms)


def test_a_source_of_too_few_architectures_is_refused(cells):
    with pytest.raises(InputError, match="source tiny: got 10"):
        fit_sources(Basis.of(space(SPACE)), {"tiny": (cells[:10], np.ones(10))})


def test_variances_are_found_per_block():
    """Features that say nothing get weights near zero, those that do keep theirs."""
    rng = np.random.default_rng(0)
    features = np.concatenate([np.ones((400, 1)), rng.standard_normal((400, 20))], axis=1)
    values = 1 + 0.1 * features[:, 1] + 0.01 * rng.standard_normal(400)
    found = fit(features, values, (slice(0, 1), slice(1, 3), slice(3, 21)))
    # Standard errors are 0.01 / 20 = 0.0005.
    np.testing.assert_allclose(found.weights[:2], [1, 0.1], atol=0.003)
    assert np.abs(found.weights[3:]).max() < 0.003
