"""A new device from ten or twenty measurements.

The prior of `device_prior` is updated by the measurements once per view of the space, with errors that are
Student-t and in proportion to the latency, and with variances that the measurements themselves choose around
values that were found by leaving source devices out. The views are then averaged by how well each foretells
every measurement from the others (pseudo Bayesian model averaging, Yao et al., Bayesian Analysis 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize
from scipy.stats import t as student

from foretell.datasets.spaces.base import Choices, space
from foretell.errors import InputError
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.device_prior import Prior, ViewPrior
from foretell.predictors.evidence import DEGREES, LEAST_NOISE

MIN_SAMPLES: Final = 5
"""With fewer measurements neither the level nor the errors can be told."""
LOG_VARIANCE: Final = np.log([1.0, 1.0, 0.01, 0.0003, 0.005])
"""Where variances lie: of the mean device, the directions, the constant, each indicator, and the noise."""
LOG_VARIANCE_SD: Final = np.array([0.5, 1.0, 2.0, 2.0, 1.5])
"""How far from there measurements may take them."""
ROUNDS: Final = 6
LEAST_LEVEL: Final = 0.1
LEAST_MEAN: Final = 0.02
"""Parts of the mean latency that no prediction goes below."""
TAILS: Final = 1.6
"""Variance of the errors over the square of their scale: long tails, kept finite."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of a device's weights in one view.

    Attributes:
        view: of the space.
        chance: that the device runs so.
        weights: mean, shape (features,), of latencies relative to `Adapted.scale_ms`.
        covariance: shape (features, features).
        noise: variance of the errors relative to the latency's square.
    """

    view: str
    chance: float
    weights: Array
    covariance: Array
    noise: float


@dataclass(frozen=True, slots=True)
class Adapted:
    """A device that was adapted to.

    Attributes:
        basis: features of the space.
        posteriors: one for each view.
        scale_ms: mean latency of the measurements.
    """

    basis: Basis
    posteriors: tuple[Posterior, ...]
    scale_ms: float

    def moments_ms(self, choices: Choices) -> tuple[Array, Array]:
        """Mean and standard deviation of the latency of architectures, each of shape (architectures,)."""
        space(self.basis.name).check(choices)
        each = [_moments(self.basis.encode(choices, one.view), one) for one in self.posteriors]
        chance = [one.chance for one in self.posteriors]
        mean = np.sum([share * found[0] for share, found in zip(chance, each, strict=True)], axis=0)
        spread = [
            share * (variance + (level - mean) ** 2)
            for share, (level, variance) in zip(chance, each, strict=True)
        ]
        return mean * self.scale_ms, np.sqrt(np.sum(spread, axis=0)) * self.scale_ms

    def quantiles_ms(self, choices: Choices, levels: Sequence[float]) -> Array:
        """Quantiles of the latency: shape (architectures, levels)."""
        mean, deviation = self.moments_ms(choices)
        z = np.array([NormalDist().inv_cdf(level) for level in levels])
        return np.asarray(mean[:, None] * np.exp(z * (deviation / mean)[:, None]))


def adapt(prior: Prior, choices: Choices, latency_ms: Array) -> Adapted:
    """Update the prior by measurements of a new device.

    Args:
        prior: of the space.
        choices: the architectures that were measured.
        latency_ms: shape (architectures,).

    Raises:
        InputError: fewer than `MIN_SAMPLES` measurements, a latency that is not positive and finite, or rows
            that are no architectures.
    """
    searched = space(prior.basis.name)
    searched.check(choices)
    if len(latency_ms) < MIN_SAMPLES:
        raise InputError("measurements", len(latency_ms), f"{MIN_SAMPLES} or more")
    wrong = ~(np.isfinite(latency_ms) & (latency_ms > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"latency_ms[{row}]", float(latency_ms[row]), "a positive finite number of ms")
    scale_ms = float(latency_ms.mean())
    found = [
        _update(
            each, each.loadings(prior.basis), prior.basis.encode(choices, each.view), latency_ms / scale_ms
        )
        for each in prior.views
    ]
    merit = np.array(
        [fitted[3] + np.log(each.chance) for fitted, each in zip(found, prior.views, strict=True)]
    )
    chance = np.exp(merit - merit.max()) / np.exp(merit - merit.max()).sum()
    posteriors = [
        Posterior(view, float(share), weights, covariance, noise)
        for view, share, (weights, covariance, noise, _) in zip(searched.views, chance, found, strict=True)
    ]
    return Adapted(prior.basis, tuple(posteriors), scale_ms)


def _moments(features: Array, posterior: Posterior) -> tuple[Array, Array]:
    """Mean and variance, relative to the scale."""
    mean = np.maximum(features @ posterior.weights, LEAST_MEAN)
    doubt = np.einsum("ij,ij->i", features @ posterior.covariance, features)
    return mean, np.maximum(doubt, 0.0) + TAILS * posterior.noise * mean**2


def _update(
    prior: ViewPrior, loadings: Array, features: Array, values: Array
) -> tuple[Array, Array, float, float]:
    """Weights, their covariance, the noise, and the log density of each value given the others."""
    latent = features @ loadings.T
    products = [latent[:, block] @ latent[:, block].T for block in prior.blocks]
    level, share = np.ones(len(values)), np.ones(len(values))
    for _ in range(ROUNDS):
        spread = level**2 / share
        variances = _variances(products, values, spread)
        covariance = np.tensordot(variances[:-1], products, axes=1)
        noise = float(variances[-1])
        factor = cho_factor(covariance + np.diag(noise * spread))
        mean = covariance @ cho_solve(factor, values)
        doubt = np.maximum(np.diag(covariance - covariance @ cho_solve(factor, covariance)), 0.0)
        level = np.maximum(mean, LEAST_LEVEL)
        off = ((values - level) ** 2 + doubt) / (noise * level**2)
        share = (DEGREES + 1) / (DEGREES + off)
    spread = level**2 / share
    factor = cho_factor(covariance + np.diag(noise * spread))
    prior_variance = np.concatenate(
        [np.full(block.shape[1], v) for block, v in zip(_parts(latent, prior), variances[:-1], strict=True)]
    )
    cross = prior_variance[:, None] * latent.T
    weights = loadings.T @ (cross @ cho_solve(factor, values))
    posterior = np.diag(prior_variance) - cross @ cho_solve(factor, cross.T)
    merit = _left_out(factor, values, noise * spread, noise * level**2)
    return weights, loadings.T @ posterior @ loadings, noise, merit


def _parts(latent: Array, prior: ViewPrior) -> list[Array]:
    return [latent[:, block] for block in prior.blocks]


def _variances(products: Sequence[Array], values: Array, spread: Array) -> Array:
    """Variances of the blocks and of the noise with the highest posterior density."""
    terms = [*products, np.diag(spread)]

    def loss(logs: Array) -> tuple[float, Array]:
        variances = np.exp(logs)
        matrix = np.tensordot(variances, terms, axes=1)
        matrix[np.diag_indices_from(matrix)] += LEAST_NOISE
        lower = np.linalg.cholesky(matrix)
        inverse = np.linalg.inv(lower)
        inverse = inverse.T @ inverse
        solved = inverse @ values
        away = (logs - LOG_VARIANCE) / LOG_VARIANCE_SD
        height = 0.5 * values @ solved + np.log(np.diag(lower)).sum() + 0.5 * away @ away
        slope = [
            0.5 * variance * ((inverse * term).sum() - solved @ term @ solved)
            for variance, term in zip(variances, terms, strict=True)
        ]
        return float(height), np.array(slope) + away / LOG_VARIANCE_SD

    bounds = [(start - 12.0, start + 12.0) for start in LOG_VARIANCE]
    found = minimize(loss, LOG_VARIANCE, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 60})
    return np.asarray(np.exp(found.x))


def _left_out(factor: tuple[Array, bool], values: Array, weighted: Array, plain: Array) -> float:
    """Log density of each value given all others, summed: the closed form of leaving one out."""
    inverse = cho_solve(factor, np.eye(len(values)))
    precision = np.diag(inverse)
    error = (inverse @ values) / precision
    scale = np.sqrt(np.maximum(1.0 / precision - weighted + plain, LEAST_NOISE))
    return float(student.logpdf(error / scale, DEGREES).sum() - np.log(scale).sum())
