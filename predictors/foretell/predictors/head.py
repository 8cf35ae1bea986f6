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
"""Residuals for an interval: of so many independent rows the 5 % quantile is known to within 0.7 points of
coverage. Rows of one group are not independent: how many groups were held out says how well it is known."""
SHORTEST: Final = 0.005
"""Share of a table's calls that count as the shortest; not the least of them, which may be a slip."""
SLACK: Final = 1e-9
"""Rounding, in octaves, that is no excursion."""


class SavedHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the document of a saved predictor says of a head.

    Attributes:
        model: number of its regressor; heads may share one.
        interval: its interval.
        overhead: as in `Head`.
        lower: as in `Head`.
        upper: as in `Head`.
    """

    model: int
    interval: SavedInterval
    overhead: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """Quantiles of the label from features and the physical floor.

    What is learnt is z = log(label / (floor + overhead)): a call takes what a launch takes, however small it
    is, and without that term small shapes are all slope, which trees can only climb in steps.

    Attributes:
        regressor: predicts z.
        interval: how far z may be from that.
        overhead: what the shortest calls in training took, in the unit of the label.
        lower: least value in training of each leading feature; those are logarithms.
        upper: greatest value.
    """

    regressor: Regressor
    interval: Interval
    overhead: float
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def fit(
        cls,
        make: Callable[[], Regressor],
        features: Array,
        floor: Array,
        label: Array,
        groups: npt.NDArray[Any],
        *,
        extent: int,
        seed: int,
        folds: int = FOLDS,
        enough: int = ENOUGH,
    ) -> Self:
        """Calibrate on groups left out, then fit on everything.

        Args:
            make: builds an unfitted regressor.
            features: shape (rows, features).
            floor: shape (rows,), the least that physics allows, in the unit of `label`.
            label: shape (rows,), positive.
            groups: shape (rows,); rows of one group are never torn apart.
            extent: how many leading features span the range.
            seed: of everything drawn.
            folds: into how many parts the groups are dealt to calibrate.
            enough: residuals with which the calibration is done.
        """
        overhead = float(np.quantile(label, SHORTEST))
        z = np.log(label / (floor + overhead))
        held, residuals = held_out_residuals(make, features, z, groups, folds=folds, enough=enough, seed=seed)
        interval = Interval.calibrate(features[held], residuals, groups[held], seed=seed)
        seen = features[:, :extent]
        lower, upper = tuple(seen.min(axis=0).tolist()), tuple(seen.max(axis=0).tolist())
        return cls(make().fit(features, z, seed=seed), interval, overhead, lower, upper)

    def predict(
        self, features: Array, floor: Array, multiples: list[float]
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Quantiles, shape (rows, levels), and whether each row lies outside of the range seen.

        Outside, the interval widens by its own width for each octave of distance.

        Args:
            features: shape (rows, features).
            floor: shape (rows,).
            multiples: of the size of the residual, one per level: ``interval.at(levels)``.
        """
        seen = features[:, : len(self.lower)]
        octaves = np.maximum(np.maximum(self.lower - seen, seen - self.upper).max(axis=1), 0.0)
        sizes = np.minimum(self.interval.sizes(features) * (1.0 + octaves), self.interval.largest)
        z = self.regressor.predict(features)
        values = (floor + self.overhead)[:, None] * np.exp(z[:, None] + sizes[:, None] * multiples)
        return values, octaves > SLACK

    def predict_one(
        self, features: list[float], floor: float, multiples: list[float]
    ) -> tuple[list[float], bool]:
        """`predict` for one row."""
        octaves = 0.0
        for value, low, high in zip(features, self.lower, self.upper, strict=False):
            if not low <= value <= high:
                octaves = max(octaves, low - value, value - high)
        size = min(self.interval.size_one(features) * (1.0 + octaves), self.interval.largest)
        z = self.regressor.predict_one(features)
        base = floor + self.overhead
        return [base * exp(z + size * multiple) for multiple in multiples], octaves > SLACK

    def save(self, stem: Path, model: int) -> SavedHead:
        """Write the interval; `model` is the number under which the regressor is saved."""
        return SavedHead(model, self.interval.save(stem), self.overhead, self.lower, self.upper)

    @classmethod
    def load(cls, stem: Path, saved: SavedHead, regressor: Regressor, extent: int) -> Self:
        """Read what `save` wrote and returned.

        Raises:
            ArtefactError: a range of another number of features than `extent`, or a damaged interval.
        """
        if not len(saved.lower) == len(saved.upper) == extent:
            raise ArtefactError(f"{stem}: a range of {len(saved.lower)} features, expected {extent}")
        interval = Interval.load(stem, saved.interval)
        return cls(regressor, interval, saved.overhead, saved.lower, saved.upper)
