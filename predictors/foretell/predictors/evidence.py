"""Linear models whose blocks of features each have a variance of their own, found from the data.

Maximum marginal likelihood by fixed points (MacKay, Neural Computation 1992) for many rows and few features.
Rows that lie far off count less, as if errors were Student-t and in proportion to the value: latencies that
somebody measured have long tails upwards.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.errors import InputError
from foretell.features.base import Array

DEGREES: Final = 4.0
"""Degrees of freedom of the errors."""
ROUNDS: Final = 3
"""Reweightings; later ones move nothing."""
STEPS: Final = 30
TOLERANCE: Final = 0.01
"""Change of the logarithm of a variance at which it is found."""
LEAST_VARIANCE: Final = 1e-10
LEAST_NOISE: Final = 1e-6
"""Relative variance of the noise: a thousandth of the latency, which no clock is better than."""
LEAST_VALUE: Final = 0.05
"""Part of the mean below which no error is taken relative to the value."""


class Fit(NamedTuple):
    """A fitted linear model of values whose mean is one.

    Attributes:
        weights: shape (features,).
        noise: standard deviation of the errors, relative to the value.
    """

    weights: Array
    noise: float


def fit(features: Array, values: Array, blocks: Sequence[slice]) -> Fit:
    """Fit values that vary around one.

    Args:
        features: shape (rows, features).
        values: shape (rows,), positive.
        blocks: columns that share a variance.

    Raises:
        InputError: fewer rows than two, or values that are not positive and finite.
    """
    if len(values) < 2 or not (np.isfinite(values) & (values > 0)).all():
        raise InputError("values", values, "two or more positive finite numbers")
    code = np.repeat(np.arange(len(blocks)), [block.stop - block.start for block in blocks])
    level, share = np.ones(len(values)), np.ones(len(values))
    variances, noise = np.full(len(blocks), 0.1), 0.1 * float(values.var()) + LEAST_NOISE
    weights = np.zeros(features.shape[1])
    for _ in range(ROUNDS):
        weights, variances, noise = _fixed_point(features, values, share / level**2, code, (variances, noise))
        level = np.maximum(features @ weights, LEAST_VALUE)
        share = (DEGREES + 1) / (DEGREES + ((values - level) / level) ** 2 / noise)
    return Fit(weights, float(np.sqrt(noise)))


def _fixed_point(
    features: Array, values: Array, precision: Array, code: npt.NDArray[np.intp], start: tuple[Array, float]
) -> tuple[Array, Array, float]:
    """Weights, variances of the blocks and of the noise, from a `start` for both variances."""
    variances, noise = start
    weighted = features * precision[:, None]
    gram, moment = features.T @ weighted, weighted.T @ values
    for _ in range(STEPS):
        weights, doubt = _posterior(gram, moment, variances[code], noise)
        known = np.bincount(code, 1.0 - doubt, minlength=len(variances))
        size = np.bincount(code, weights**2, minlength=len(variances))
        found = np.maximum(size / np.maximum(known, 1e-6), LEAST_VARIANCE)
        off = float((precision * (values - features @ weights) ** 2).sum())
        left = max(off / max(len(values) - known.sum(), 1.0), LEAST_NOISE)
        moved = max(np.abs(np.log(found / variances)).max(), abs(np.log(left / noise)))
        variances, noise = found, left
        if moved < TOLERANCE:
            break
    return _posterior(gram, moment, variances[code], noise)[0], variances, noise


def _posterior(gram: Array, moment: Array, variances: Array, noise: float) -> tuple[Array, Array]:
    """Mean weights, and the share of each prior variance that is left."""
    root = np.sqrt(variances)
    precision = root[:, None] * gram * root / noise
    precision[np.diag_indices_from(precision)] += 1.0
    covariance = np.linalg.inv(precision)
    return root * (covariance @ (root * moment)) / noise, np.diag(covariance)
