"""One calibrated model: a regressor, its interval and the range that it has seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array
from foretell.predictors.interval import Interval, held_out_residuals
from foretell.predictors.regressor import Regressor

FOLDS: Final = 5
ENOUGH: Final = 4_000
"""Residuals for an interval: the 5 % quantile of so many is known to within 0.7 points of coverage."""
SLACK: Final = 1e-9
"""Rounding, in octaves, that is no excursion."""


@dataclass(frozen=True, slots=True)
class Head:
    """Quantiles of z = log(label / floor) from features.

    Attributes:
        regressor: predicts z.
        interval: how far z may be from that.
        lower: least value in training of each leading feature; those are logarithms.
        upper: greatest value.
    """

    regressor: Regressor
    interval: Interval
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        make: Callable[[], Regressor],
        features: Array,
        z: Array,
        groups: npt.NDArray[Any],
        *,
        extent: int,
        seed: int,
        folds: int = FOLDS,
        enough: int = ENOUGH,
    ) -> Self:
        """Calibrate on groups left out, then fit on everything."""
        held, residuals = held_out_residuals(make, features, z, groups, folds=folds, enough=enough, seed=seed)
        interval = Interval.calibrate(features[held], residuals, seed=seed)
        seen = features[:, :extent]
        lower, upper = tuple(seen.min(axis=0).tolist()), tuple(seen.max(axis=0).tolist())
        return cls(make().fit(features, z, seed=seed), interval, lower, upper)

    def predict(self, features: Array, multiples: Sequence[float]) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Quantiles of z, shape (rows, levels), and whether each row lies outside of the range seen.

        Outside, the interval widens by its own width for each octave of distance.

        Args:
            features: shape (rows, features).
            multiples: of the size of the residual, one per level: ``interval.at(levels)``.
        """
        seen = features[:, : len(self.lower)]
        octaves = np.maximum(np.subtract(self.lower, seen), seen - self.upper).max(axis=1).clip(min=0.0)
        sizes = self.interval.sizes(features) * (1.0 + octaves)
        z = self.regressor.predict(features)
        return z[:, None] + sizes[:, None] * np.asarray(multiples), octaves > SLACK

    def predict_one(self, features: list[float], multiples: Sequence[float]) -> tuple[list[float], bool]:
        """`predict` for one row: exp(z) with exp(z) for z."""
        octaves = 0.0
        for value, low, high in zip(features, self.lower, self.upper, strict=False):
            if value < low:
                octaves = max(octaves, low - value)
            elif value > high:
                octaves = max(octaves, value - high)
        z = self.regressor.predict_one(features)
        size = self.interval.size_one(features) * (1.0 + octaves)
        return [exp(z + size * multiple) for multiple in multiples], octaves > SLACK

    def save(self, stem: Path) -> dict[str, Any]:
        """Write the models; the rest is returned, ready for JSON."""
        self.regressor.save(stem)
        return {"interval": self.interval.save(stem), "lower": self.lower, "upper": self.upper}

    @classmethod
    def load(cls, stem: Path, state: dict[str, Any], family: type[Regressor]) -> Self:
        """Read what `save` wrote and returned."""
        interval = Interval.load(stem, state["interval"])
        return cls(family.load(stem), interval, tuple(state["lower"]), tuple(state["upper"]))
