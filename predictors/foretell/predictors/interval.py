"""Calibrated intervals: how far a model errs on groups that it has not seen.

Split conformal prediction by group (Vovk et al., 2005; Lei et al., JASA 2018): residuals of held-out groups,
divided by an estimate of their size where the row lies, give the quantiles of new rows. The estimate is a
small booster of log |residual|, so that steady regions get narrow intervals (normalised conformal,
Papadopoulos et al., 2002). It is fitted on one half of the residuals and judged on the other, both ways.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from foretell.errors import ArtefactError
from foretell.features.base import Array
from foretell.predictors.boosted import Boosted, BoostedOptions
from foretell.predictors.regressor import Regressor

GRID: Final = (0.005, 0.01, *(round(0.025 * step, 3) for step in range(1, 40)), 0.99, 0.995)
"""Levels at which residual quantiles are kept; others are interpolated."""
MIN_ROWS_TO_SCALE: Final = 200
"""With fewer residuals one size for all rows is safer than a learnt one."""
MIN_GROUPS_TO_SCALE: Final = 8
"""Likewise with so few groups that half of them are no sample."""
NEGLIGIBLE: Final = 1e-3
"""Residuals under 0.1 % are the clock's, not the model's."""
MAX_SPREAD: Final = log(100.0)
"""Most that a quantile departs from the model: beyond a factor of 100 an interval says nothing more."""


class SavedInterval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the document of a saved predictor says of an interval.

    Attributes:
        quantiles: as in `Interval`.
        sized: whether a booster of the size was saved.
    """

    quantiles: tuple[float, ...]
    sized: bool


@dataclass(frozen=True)
class Interval:
    """Quantiles of the residuals of log(label), as multiples of a size that depends on the row.

    Attributes:
        quantiles: shape (len(GRID),), increasing.
        size: a booster of log size; null where one size fits all.
    """

    quantiles: Array
    size: Boosted | None

    @cached_property
    def largest(self) -> float:
        """Size from which on a row's quantiles say nothing, and soon would not fit a number."""
        return MAX_SPREAD / max(-float(self.quantiles[0]), float(self.quantiles[-1]), NEGLIGIBLE)

    @classmethod
    def calibrate(cls, features: Array, residuals: Array, groups: npt.NDArray[Any], *, seed: int) -> Self:
        """From the residuals (label - prediction, in logarithms) of held-out rows.

        Args:
            features: shape (rows, features), of the same rows.
            residuals: shape (rows,).
            groups: shape (rows,); a size is judged on groups that it was not fitted on.
            seed: of the halving and of the booster.
        """
        names, codes = np.unique(groups, return_inverse=True)
        if len(residuals) < MIN_ROWS_TO_SCALE or len(names) < MIN_GROUPS_TO_SCALE:
            return cls(conformal_quantiles(residuals), None)
        half = (np.random.default_rng(seed).permutation(len(names)) % 2 == 0)[codes]
        scaled = np.empty_like(residuals)
        for judged in (half, ~half):
            size = _fit_size(features[~judged], residuals[~judged], seed)
            scaled[judged] = residuals[judged] / np.exp(size.predict(features[judged]))
        return cls(conformal_quantiles(scaled), _fit_size(features, residuals, seed))

    @classmethod
    def wide(cls, factor: float) -> Self:
        """An interval whose 90 % reach from 1 / factor to factor times the median; nothing was calibrated."""
        sigma = np.log(factor) / NormalDist().inv_cdf(0.95)
        return cls(np.array([NormalDist(0, sigma).inv_cdf(level) for level in GRID]), None)

    @classmethod
    def across(cls, residuals: Array, groups: npt.NDArray[Any]) -> Self:
        """An interval for a group unlike any of these: the widest of theirs, as far to either side.

        The groups are few and the next one may err the other way, so that the mean of theirs promises too
        much: docs/log.md has the coverage of each way on families of GPUs that were left out.

        Args:
            residuals: shape (rows,), each of a model that has not seen the row's group.
            groups: shape (rows,).
        """
        each = np.array([conformal_quantiles(residuals[groups == group]) for group in np.unique(groups)])
        reach = np.abs(np.concatenate([each, each[:, ::-1]])).max(axis=0)
        return cls(np.sign(np.array(GRID) - 0.5) * reach, None)

    def at(self, levels: Sequence[float]) -> Array:
        """Multiples of the size at some levels."""
        return np.interp(levels, GRID, self.quantiles)

    def sizes(self, features: Array) -> Array | float:
        """Size of the residual where each row lies; shape (rows,), or one for all."""
        return np.exp(self.size.predict(features)) if self.size else 1.0

    def size_one(self, features: list[float]) -> float:
        """`sizes` for one row."""
        return exp(self.size.predict_one(features)) if self.size else 1.0

    def save(self, stem: Path) -> SavedInterval:
        """Write the booster, if any; the rest is returned."""
        if self.size:
            self.size.save(Path(f"{stem}.size"))
        return SavedInterval(tuple(self.quantiles.tolist()), self.size is not None)

    @classmethod
    def load(cls, stem: Path, saved: SavedInterval) -> Self:
        """Read what `save` wrote and returned.

        Raises:
            ArtefactError: quantiles that are not those of `GRID`, or a missing booster.
        """
        quantiles = np.array(saved.quantiles)
        if quantiles.shape != (len(GRID),) or not (quantiles[1:] >= quantiles[:-1]).all():
            raise ArtefactError(f"{stem}: expected {len(GRID)} quantiles that increase")
        return cls(quantiles, Boosted.load(Path(f"{stem}.size")) if saved.sized else None)


def conformal_quantiles(scores: Array) -> Array:
    """Quantiles at the levels of `GRID` that hold for a new score exchangeable with these.

    Of n + 1 equally likely ranks the new score takes one, so a level is rounded outwards on that scale; where
    n is too small for a level the extreme score stands in.
    """
    ranks = np.array(GRID) * (len(scores) + 1)
    outward = np.where(np.array(GRID) < 0.5, np.floor(ranks), np.ceil(ranks)).astype(int)
    return np.asarray(np.sort(scores)[np.clip(outward - 1, 0, len(scores) - 1)])


def held_out_residuals(
    make: Callable[[], Regressor],
    features: Array,
    z: Array,
    groups: npt.NDArray[Any],
    *,
    folds: int,
    enough: int,
    seed: int,
) -> tuple[npt.NDArray[np.intp], Array]:
    """Residuals of rows whose whole group was left out of the fit.

    Args:
        make: builds an unfitted model.
        features: shape (rows, features).
        z: shape (rows,), what the model learns.
        groups: shape (rows,); rows of one group are never torn apart.
        folds: into how many parts the groups are dealt.
        enough: stop after the fold with which this many residuals are there.
        seed: of the dealing and of the models.

    Returns:
        Indices of rows, and their residuals, both of shape (held-out rows,).
    """
    names, codes = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).permutation(len(names))[codes] % min(folds, len(names))
    rows: list[npt.NDArray[np.intp]] = []
    residuals: list[Array] = []
    for held in range(min(folds, len(names))):
        out = fold == held
        model = make().fit(features[~out], z[~out], seed=seed)
        rows.append(np.flatnonzero(out))
        residuals.append(z[out] - model.predict(features[out]))
        if sum(map(len, rows)) >= enough:
            break
    return np.concatenate(rows), np.concatenate(residuals)


def _fit_size(features: Array, residuals: Array, seed: int) -> Boosted:
    options = BoostedOptions(
        trees=40, leaves=8, learning_rate=0.1, min_rows=max(20, len(residuals) // 50), bins=63, objective="l2"
    )
    return Boosted(options).fit(features, np.log(np.abs(residuals) + NEGLIGIBLE), seed=seed)
