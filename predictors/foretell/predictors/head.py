"""One calibrated model: a regressor, its interval and the range that it has seen."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from foretell.errors import ArtefactError
from foretell.features.base import Array
from foretell.predictors.interval import Interval, SavedInterval, held_out_residuals
from foretell.predictors.regressor import Regressor

FOLDS: Final = 5
ENOUGH: Final = 4_000
"""Residuals for an interval: the 5 % quantile of so many is known to within 0.7 points of coverage."""
SLACK: Final = 1e-9
"""Rounding, in octaves, that is no excursion."""


class SavedHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the document of a saved predictor says of a head.

    Attributes:
        model: number of its regressor; heads may share one.
        interval: its interval.
        lower: as in `Head`.
        upper: as in `Head`.
    """

    model: int
    interval: SavedInterval
    lower: tuple[float, ...]
    upper: tuple[float, ...]


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

    def predict(self, features: Array, multiples: list[float]) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Quantiles of z, shape (rows, levels), and whether each row lies outside of the range seen.

        Outside, the interval widens by its own width for each octave of distance.

        Args:
            features: shape (rows, features).
            multiples: of the size of the residual, one per level: ``interval.at(levels)``.
        """
        seen = features[:, : len(self.lower)]
        octaves = np.maximum(np.maximum(self.lower - seen, seen - self.upper).max(axis=1), 0.0)
        sizes = np.minimum(self.interval.sizes(features) * (1.0 + octaves), self.interval.largest)
        z = self.regressor.predict(features)
        return z[:, None] + sizes[:, None] * multiples, octaves > SLACK

    def predict_one(self, features: list[float], multiples: list[float]) -> tuple[list[float], bool]:
        """`predict` for one row, with exp(z) for z."""
        octaves = 0.0
        for value, low, high in zip(features, self.lower, self.upper, strict=False):
            if not low <= value <= high:
                octaves = max(octaves, low - value, value - high)
        size = min(self.interval.size_one(features) * (1.0 + octaves), self.interval.largest)
        z = self.regressor.predict_one(features)
        return [exp(z + size * multiple) for multiple in multiples], octaves > SLACK

    def save(self, stem: Path, model: int) -> SavedHead:
        """Write the interval; `model` is the number under which the regressor is saved."""
        return SavedHead(model, self.interval.save(stem), self.lower, self.upper)

    @classmethod
    def load(cls, stem: Path, saved: SavedHead, regressor: Regressor, extent: int) -> Self:
        """Read what `save` wrote and returned.

        Raises:
            ArtefactError: a range of another number of features than `extent`, or a damaged interval.
        """
        if not len(saved.lower) == len(saved.upper) == extent:
            raise ArtefactError(f"{stem}: a range of {len(saved.lower)} features, expected {extent}")
        return cls(regressor, Interval.load(stem, saved.interval), saved.lower, saved.upper)
