"""Which architectures to measure on a new device, before anything of it is known.

Greedy D-optimal design: each next architecture is the one of which the prior, given those taken already,
knows least relative to the errors of a measurement. The views of a space count by their chances, and the
mean device in each is one more thing to be told apart, so that the samples show how the runtime behaves.
"""

from typing import Final

import numpy as np

from foretell.datasets.spaces.base import Choices
from foretell.errors import InputError
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.device_prior import Prior, ViewPrior
from foretell.predictors.few_shot import LOG_VARIANCE

POOL: Final = 2000
"""Candidates that are looked at."""


def choose_samples(prior: Prior, candidates: Choices, samples: int) -> list[int]:
    """Numbers of the candidates to measure, the most telling first.

    Args:
        prior: of the space.
        candidates: architectures that can be measured; the first `POOL` are looked at.
        samples: how many to choose.

    Raises:
        InputError: fewer candidates than samples.
    """
    if samples > len(candidates):
        raise InputError("candidates", len(candidates), f"{samples} or more architectures")
    latent, level = _latent(prior, candidates[:POOL])
    relative = latent / level[:, None]
    left = (relative**2).sum(axis=1)
    noise = float(np.exp(LOG_VARIANCE[-1]))
    found = np.zeros((samples, len(relative)))
    chosen: list[int] = []
    for step in range(samples):
        best = int(np.argmax(np.where(np.isin(np.arange(len(left)), chosen), -np.inf, left)))
        chosen.append(best)
        # One step of a Cholesky factorisation of the candidates' prior covariance, with noise at the pivot.
        row = relative @ relative[best] - found[:step].T @ found[:step, best]
        found[step] = row / np.sqrt(left[best] + noise)
        left = np.maximum(left - found[step] ** 2, 0.0)
    return chosen


def _latent(prior: Prior, candidates: Choices) -> tuple[Array, Array]:
    """What the latency of each candidate is a sum of, each term with a variance of one, and its mean."""
    features = [prior.basis.encode(candidates, each.view) for each in prior.views]
    means = np.stack([each @ one.mean for each, one in zip(features, prior.views, strict=True)], axis=1)
    chance = np.array([each.chance for each in prior.views])
    terms = [
        np.sqrt(one.chance) * each @ _scaled(one, prior.basis).T
        for each, one in zip(features, prior.views, strict=True)
    ]
    level = means @ chance
    apart = (means - level[:, None]) * np.sqrt(chance)
    return np.concatenate([*terms, apart], axis=1), np.maximum(level, 0.1 * level.mean())


def _scaled(prior: ViewPrior, basis: Basis) -> Array:
    """What a device's weights are a sum of, each term with a variance of one."""
    loadings = prior.loadings(basis)
    for block, variance in zip(prior.blocks, np.exp(LOG_VARIANCE[:-1]), strict=True):
        loadings[block] *= np.sqrt(variance)
    return loadings
