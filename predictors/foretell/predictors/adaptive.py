"""Quantiles that hold under shift: adaptive conformal inference from outcomes that have been seen.

Gibbs and Candès, Adaptive Conformal Inference Under Distribution Shift (NeurIPS 2021): the level that is
asked of recent residuals moves down after each covered outcome and up after each missed one, so that the
long-run share of outcomes below the quantile is the one that was asked for, whatever the traffic does.
Departs from the paper in that residuals are multiples of an expected size, only the latest are kept, and
outcomes come late: each is judged by the quantile that was given when the request arrived. Judged by
today's, which has seen its neighbours, bursts of errors look covered that were not: 85 instead of 90 % on
the times per output token.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array

WINDOW: Final = 1000
"""Residuals that are kept; of 400, 1000 and 2000 this gave the narrowest quantiles with even coverage."""
STEP: Final = 0.003
"""How far one outcome moves the level; of 0.002 to 0.01 likewise."""
MOST: Final = 0.2
"""How far the share of misses that is aimed at may fall below none: then beyond the outermost residual."""


class AdaptiveQuantile:
    """One tracked quantile of a stream of residuals; all others are answered from it.

    Args:
        level: that is tracked, in (0, 1).
        residuals: of rows held out, to begin with; shape (rows,), at least one.
        misses: the share that is aimed at to begin with, where another tracker goes on.
    """

    def __init__(self, level: float, residuals: Array, misses: float | None = None) -> None:
        self.level = level
        self.misses = 1.0 - level if misses is None else misses
        self.latest = np.asarray(residuals[-WINDOW:], dtype=np.float64)
        self._sorted = np.sort(self.latest)
        self.tracked = self.at(level)

    def observe(self, residuals: Array, given: Array | None = None) -> None:
        """Take outcomes.

        Args:
            residuals: oldest first, shape (rows,).
            given: the quantile in force when each request arrived, shape (rows,); by default today's.
        """
        missed = residuals > (self.tracked if given is None else given)
        moved = self.misses + STEP * float(np.sum((1.0 - self.level) - missed))
        self.misses = min(max(moved, -MOST), 1.0)
        self.latest = np.concatenate([self.latest, residuals])[-WINDOW:]
        self._sorted = np.sort(self.latest)
        self.tracked = self.at(self.level)

    def at(self, level: float) -> float:
        """The residual that a share of `level` of the next outcomes does not exceed."""
        misses = self.misses if level == self.level else self._moved(1.0 - level)
        if misses < 0.0:
            return float(self._sorted[-1] + (abs(self._sorted[-1]) + 1.0) * -misses)
        return float(np.quantile(self._sorted, 1.0 - misses))

    def all_at(self, levels: Sequence[float]) -> npt.NDArray[np.float64]:
        """Residuals at increasing `levels`, which never fall; shape (levels,)."""
        return np.maximum.accumulate([self.at(level) for level in levels])

    def _moved(self, misses: float) -> float:
        """The share of misses that stands for `misses` elsewhere, by the same factor on its odds."""
        tracked = min(max(self.misses, 1e-3), 1.0 - 1e-3)
        factor = tracked / (1.0 - tracked) * self.level / (1.0 - self.level)
        odds = misses / (1.0 - misses) * factor
        return odds / (1.0 + odds)
