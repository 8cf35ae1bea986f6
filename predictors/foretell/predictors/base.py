"""What every predictor is: rows in, quantiles out, saved in files that run no code on loading."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import le
from pathlib import Path
from typing import Any, Final, Protocol, Self

import msgspec
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
            expected = (len(self.outside), len(self.levels))
            raise ValueError(f"values of shape {self.values.shape}, expected {expected}")
        if not _sound(self.values):
            raise ValueError("quantiles must be positive, finite and not cross")

    def at(self, level: float) -> npt.NDArray[np.float64]:
        """Values at one of `levels`, shape (rows,)."""
        return self.values[:, self.levels.index(level)]


def _sound(values: npt.NDArray[np.float64]) -> bool:
    """Whether each row is positive, finite and never falls.

    Written so that a NaN fails: every comparison with it is false.
    """
    if len(values) == 1:  # NumPy would take a fifth of a single answer's time
        row = values[0].tolist()
        return row[0] > 0 and row[-1] < inf and all(map(le, row, row[1:]))
    within = (values[:, 0] > 0) & (values[:, -1] < inf)
    return bool(within.all() and (values[:, 1:] >= values[:, :-1]).all())


@dataclass(frozen=True, slots=True)
class Task:
    """What is predicted from which rows.

    Attributes:
        target: its name, such as ``gemm.latency``.
        unit: unit of the answer, such as ``us``.
        label: column of the rows that is learnt, such as ``latency_us``.
        encoder: ``module:Class`` of the encoder of its rows.
    """

    target: str
    unit: str
    label: str
    encoder: str


class Predictor(Protocol):
    """One model family. Constructors store options and nothing else."""

    @property
    def task(self) -> Task:
        """What it predicts."""
        ...

    @property
    def query(self) -> type[msgspec.Struct]:
        """What a question looks like."""
        ...

    def fit(self, rows: pl.DataFrame, *, seed: int) -> Self:
        """Learn from validated rows that carry the label."""
        ...

    def predict(self, rows: pl.DataFrame, levels: Sequence[float] = LEVELS) -> Prediction:
        """Answer for rows of query columns; any other column, the label too, is refused."""
        ...

    def answer(self, queries: Sequence[Any], levels: Sequence[float] = LEVELS) -> Prediction:
        """`predict` for validated `query` structs: the fast path for a few rows."""
        ...

    def save(self, path: Path) -> None:
        """Write the model, its encoder and its options into the new folder `path`."""
        ...

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; runs no code from there."""
        ...
