"""What every predictor is: rows in, quantiles out, saved in files that run no code on loading."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt
import polars as pl

LEVELS: Final = (0.05, 0.5, 0.95)
"""Default quantile levels: a median and the ends of the 90 % interval."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Quantiles per row.

    Attributes:
        target: name of the target, such as ``gemm.latency``.
        unit: unit of `values`, such as ``us``.
        levels: increasing quantile levels in (0, 1).
        values: shape (rows, levels), finite, positive and not crossing.
        outside: shape (rows,); true where a row lies outside of what the model has seen.
    """

    target: str
    unit: str
    levels: tuple[float, ...]
    values: npt.NDArray[np.float64]
    outside: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.outside), len(self.levels)):
            msg = f"values of shape {self.values.shape} for {len(self.outside)} rows, {len(self.levels)} levels"
            raise ValueError(msg)
        # Written so that a NaN fails: every comparison with it is false.
        if not (self.values[:, 0] > 0).all() or not np.isfinite(self.values[:, -1]).all():
            raise ValueError("quantiles must be positive and finite")
        if not (self.values[:, 1:] >= self.values[:, :-1]).all():
            raise ValueError("quantiles must not cross")

    def at(self, level: float) -> npt.NDArray[np.float64]:
        """Values at one of `levels`, shape (rows,)."""
        return self.values[:, self.levels.index(level)]


class Predictor(Protocol):
    """One model family. Constructors store options and nothing else."""

    def fit(self, rows: pl.DataFrame, *, seed: int) -> Self:
        """Learn from validated rows that carry the label."""
        ...

    def predict(self, rows: pl.DataFrame) -> Prediction:
        """Answer for rows of query columns; a label among them is refused."""
        ...

    def save(self, path: Path) -> None:
        """Write the model, its encoder and its options into the new folder `path`."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; runs no code from there."""
        ...
