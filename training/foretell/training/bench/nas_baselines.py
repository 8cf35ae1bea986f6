"""What stands beside few-shot adaptation: the best single source, ridge without any source, and the ceiling.

Each gives quantiles from its own errors on the measurements, left out one by one where it learnt from them.
"""

from statistics import NormalDist
from typing import Any, Final

import numpy as np
from scipy.stats import spearmanr

from foretell.datasets.spaces.base import Choices, space
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.base import LEVELS
from foretell.predictors.device_prior import Source, fit_sources
from foretell.predictors.few_shot import TAILS

ALPHAS: Final = tuple(10.0**power for power in range(-6, 4))
ANALYTIC: Final = ("operations", "bytes", "parameters", "operators")


def analytic(choices: Choices, name: str) -> Array:
    """Totals over the operators of each architecture: shape (architectures, `ANALYTIC`)."""
    searched = space(name)
    parts = searched.parts(choices, searched.views[0])
    table = np.array(
        [
            [
                sum(operator.operations for operator in part),
                sum(operator.bytes for operator in part),
                sum(operator.parameters for operator in part),
                len(part),
            ]
            for part in searched.catalogue()
        ],
        dtype=np.float64,
    )
    return np.asarray(np.einsum("ns,nsk->nk", parts.counts, table[parts.index]))


def ridge(train: Array, latency_ms: Array, test: Array) -> Array:
    """Quantiles at `LEVELS` of ridge regression whose penalty is chosen by leaving one out."""
    from sklearn.linear_model import RidgeCV  # noqa: PLC0415  (two seconds of import)

    center, scale = train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)
    model: Any = RidgeCV(alphas=ALPHAS, store_cv_results=True)
    model.fit((train - center) / scale, latency_ms)
    squared = model.cv_results_[:, ALPHAS.index(model.alpha_)]
    middle = model.predict((test - center) / scale)
    return _quantiles(middle, float(np.sqrt(squared.mean())), float(latency_ms.min()))


def best_single_source(
    basis: Basis, sources: list[Source], choices: Choices, latency_ms: Array, test: Choices
) -> Array:
    """Quantiles of the source whose fit ranks the measurements best, scaled and shifted to them."""
    fits = [(basis.encode(choices, source.view) @ source.fitted.weights, source) for source in sources]
    ranks = [float(np.nan_to_num(spearmanr(fitted, latency_ms).statistic)) for fitted, _ in fits]
    fitted, source = fits[int(np.argmax(ranks))]
    slope, shift = np.polyfit(fitted, latency_ms, 1)
    error = latency_ms - slope * fitted - shift
    middle = basis.encode(test, source.view) @ source.fitted.weights * slope + shift
    deviation = float(np.sqrt((error**2).sum() / (len(error) - 2)))
    return _quantiles(middle, deviation, float(latency_ms.min()))


def ceiling(basis: Basis, choices: Choices, latency_ms: Array, test: Choices) -> Array:
    """Quantiles of the same features fitted to thousands of architectures of the device itself."""
    (source,) = fit_sources(basis, {"the device itself": (choices, latency_ms)})
    shape = basis.encode(choices, source.view) @ source.fitted.weights
    scale = float(np.median(latency_ms / shape))
    expected = basis.encode(test, source.view) @ source.fitted.weights * scale
    middle = np.maximum(expected, 0.1 * latency_ms.min())
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    return np.asarray(middle[:, None] * np.exp(z * source.fitted.noise * np.sqrt(TAILS)))


def _quantiles(middle: Array, deviation: float, least: float) -> Array:
    """Normal errors around the middle; nothing is foretold below a tenth of what was measured."""
    z = np.array([NormalDist().inv_cdf(level) for level in LEVELS])
    return np.maximum(middle[:, None] + z * deviation, 0.1 * least)
