"""Who forecasts a stream of requests: foretell, the trivial baselines, and llm-d's way of doing it.

All see the same: finished requests to learn from, then each request's state as it arrives, with whatever has
finished until then.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

import numpy as np

from foretell.features.base import Array
from foretell.features.request import STATE
from foretell.predictors.adaptive import AdaptiveQuantile
from foretell.predictors.latency import LatencyModel
from foretell.training.window import Finished

LEVEL: Final = 0.9
Makes: Final = Callable[[str, Finished], "Forecaster"]


class Forecaster(Protocol):
    """One target's forecaster. It is made from finished requests, and made again as more of them come."""

    def predict(self, state: Array) -> tuple[Array, Array]:
        """Expected seconds and their 90 % quantile, each of shape (rows,)."""
        ...

    def observe(self, state: Array, seconds: Array, high: Array) -> None:
        """Requests have finished, in this order.

        Args:
            state: shape (rows, columns).
            seconds: what they took, shape (rows,).
            high: the quantile that was given at their arrival, shape (rows,); NaN where none was.
        """
        ...


class Foretell:
    """Physics, trees and adaptive quantiles."""

    def __init__(self, model: LatencyModel, quantile: AdaptiveQuantile | None = None) -> None:
        self.model = model
        self._quantile = quantile or AdaptiveQuantile(LEVEL, np.asarray(model.saved.residuals))

    def predict(self, state: Array) -> tuple[Array, Array]:
        """See `Forecaster`."""
        expected, size = self.model.expect(state)
        return expected, expected * np.exp(size * self._quantile.at(LEVEL))

    def observe(self, state: Array, seconds: Array, high: Array) -> None:
        """See `Forecaster`."""
        expected, size = self.model.expect(state)
        given = np.where(np.isnan(high), self._quantile.tracked, np.log(high / expected) / size)
        self._quantile.observe(np.log(seconds / expected) / size, given)

    def refitted(self, model: LatencyModel) -> "Foretell":
        """With another model, and what was learnt of its errors so far."""
        return Foretell(model, self._quantile)


class Previous:
    """What the last finished request took; the quantile by what the one before it would have said."""

    def __init__(self, seconds: Array) -> None:
        self._last = float(seconds[-1])
        self._ratio = float(np.quantile(seconds[1:] / seconds[:-1], LEVEL))

    def predict(self, state: Array) -> tuple[Array, Array]:
        """See `Forecaster`."""
        last = np.full(len(state), self._last)
        return last, last * self._ratio

    def observe(self, state: Array, seconds: Array, high: Array) -> None:
        """See `Forecaster`."""
        if len(seconds):
            self._last = float(seconds[-1])


class Linear:
    """Least squares on the state; the quantile by its residuals."""

    def __init__(self, state: Array, seconds: Array) -> None:
        self._weights, *_ = np.linalg.lstsq(_affine(state), seconds, rcond=None)
        self._least = float(seconds.min())
        self._more = float(np.quantile(seconds - _affine(state) @ self._weights, LEVEL))

    def predict(self, state: Array) -> tuple[Array, Array]:
        """See `Forecaster`."""
        seconds = np.maximum(_affine(state) @ self._weights, self._least)
        return seconds, seconds + self._more

    def observe(self, state: Array, seconds: Array, high: Array) -> None:
        """See `Forecaster`."""


def _affine(state: Array) -> Array:
    return np.column_stack([state[:, : len(STATE)], np.ones(len(state))])


LLMD_FEATURES: Final = ("kv_fraction", "input_tokens", "waiting", "running", "prefix_hit", "prefill_tokens")
LLMD_TPOT_FEATURES: Final = (*LLMD_FEATURES, "generated_tokens", "decode_tokens")


class LlmdLike:
    """Boosted trees on the raw state, one for the mean and one for the 90 % quantile, as llm-d's side-car.

    Its TTFT features are all but the tokens generated, its TPOT features all. llm-d fits XGBoost or LightGBM,
    as it is set; this is LightGBM with its usual options.
    """

    def __init__(self, target: str, state: Array, seconds: Array) -> None:
        names = LLMD_FEATURES if target == "ttft" else LLMD_TPOT_FEATURES
        self._columns = [STATE.index(name) for name in names]
        features = state[:, self._columns]
        self._mean = _booster(features, seconds * 1e3, objective="regression")
        self._high = _booster(features, seconds * 1e3, objective="quantile", alpha=LEVEL)

    def predict(self, state: Array) -> tuple[Array, Array]:
        """See `Forecaster`."""
        features = state[:, self._columns]
        mean_ms, high_ms = (np.asarray(tree.predict(features)) for tree in (self._mean, self._high))
        return np.maximum(mean_ms / 1e3, 1e-6), np.maximum(high_ms / 1e3, 1e-6)

    def observe(self, state: Array, seconds: Array, high: Array) -> None:
        """See `Forecaster`."""


def _booster(features: Array, ms: Array, **objective: Any) -> Any:
    import lightgbm  # noqa: PLC0415  (a second of processor time that only training needs)

    options = {"num_leaves": 31, "learning_rate": 0.05, "num_threads": 1, "verbose": -1}
    return lightgbm.train(options | objective, lightgbm.Dataset(features, ms), 200)
