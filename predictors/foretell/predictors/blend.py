"""The mean of two boosters: one with steps in its leaves, one with slopes.

Steps follow the jumps from one kernel to another, slopes (piecewise linear trees, Shi et al., IJCAI 2019) the
stretches between them and what lies a little beyond; each smooths the other's noise.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from foretell.errors import ArtefactError
from foretell.features.base import Array
from foretell.predictors.boosted import MANY_ROWS, Boosted, BoostedOptions

SUFFIX: Final = ".range.json"


class _Range(NamedTuple):
    """What z was in training: a slope that leads further is not followed."""

    least: float
    most: float


class Blend:
    """Two boosters on the same features, and the range that the one with slopes stays within."""

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Learn from features of shape (rows, features) and z of shape (rows,)."""
        many = len(z) >= MANY_ROWS
        self._steps = Boosted(_steps() if many else None).fit(features, z, seed=seed)
        self._slopes = Boosted(_slopes(len(z))).fit(features, z, seed=seed)
        self._range = _Range(float(z.min()), float(z.max()))
        return self

    def predict(self, features: Array) -> Array:
        """Z of shape (rows,)."""
        slopes = np.clip(self._slopes.predict(features), *self._range)
        return (self._steps.predict(features) + slopes) / 2.0

    def predict_one(self, features: list[float]) -> float:
        """`predict` for one row."""
        slopes = min(max(self._slopes.predict_one(features), self._range.least), self._range.most)
        return (self._steps.predict_one(features) + slopes) / 2.0

    def save(self, stem: Path) -> None:
        """Write both in LightGBM's text format, and the range as JSON."""
        self._steps.save(Path(f"{stem}.steps"))
        self._slopes.save(Path(f"{stem}.slopes"))
        Path(f"{stem}{SUFFIX}").write_bytes(msgspec.json.encode(self._range))

    @classmethod
    def load(cls, stem: Path) -> Self:
        """Read what `save` wrote."""
        path = Path(f"{stem}{SUFFIX}")
        loaded = cls()
        try:
            loaded._range = msgspec.json.decode(path.read_bytes(), type=_Range)
        except (OSError, msgspec.DecodeError) as error:
            raise ArtefactError(f"{path}: {error}") from error
        loaded._steps = Boosted.load(Path(f"{stem}.steps"))
        loaded._slopes = Boosted.load(Path(f"{stem}.slopes"))
        return loaded


def _steps() -> BoostedOptions:
    return BoostedOptions(trees=250, learning_rate=0.12, bins=255)


def _slopes(rows: int) -> BoostedOptions:
    """Fewer trees than steps need, of leaves with rows enough for a slope; LightGBM fits those by l2 only."""
    if rows >= MANY_ROWS:
        options = BoostedOptions(trees=100, leaves=63, learning_rate=0.15)
    else:
        options = BoostedOptions(trees=60, leaves=max(2, min(8, rows // 100)), learning_rate=0.1)
    return replace(options, min_rows=20, bins=255, objective="l2", slopes=True, ridge=1.0)
