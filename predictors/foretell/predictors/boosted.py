"""Gradient-boosted trees by LightGBM (Ke et al., NeurIPS 2017)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from foretell.errors import ArtefactError
from foretell.features.base import Array
from foretell.predictors.ensemble import Ensemble
from foretell.predictors.native import NativeBooster
from foretell.predictors.packed import BITS, PackedTrees

SUFFIX: Final = ".lgb.txt"
MANY_ROWS: Final = 5_000
"""From here on a large booster pays."""


@dataclass(frozen=True, slots=True)
class BoostedOptions:
    """Options of one booster; the defaults are for thousands of rows.

    Attributes:
        trees: boosting iterations.
        leaves: leaves of a tree.
        learning_rate: shrinkage of each tree.
        min_rows: least number of rows in a leaf.
        bins: histogram bins of a feature.
        depth: most splits above a leaf; -1 sets no limit.
        slopes: whether leaves hold a linear model of the features above them instead of a constant.
        objective: ``l1`` learns the median of z, which is the median of the label; ``l2`` its mean.
        ridge: penalty on the linear models of leaves.
    """

    trees: int = 600
    leaves: int = 127
    learning_rate: float = 0.05
    min_rows: int = 5
    bins: int = 511
    depth: int = -1
    objective: str = "l1"
    slopes: bool = False
    ridge: float = 0.0

    @classmethod
    def for_rows(cls, rows: int) -> Self:
        """A booster no larger than the data can fill: a small one also answers ten times faster."""
        if rows >= MANY_ROWS:
            return cls()
        return cls(trees=150, leaves=max(4, min(15, rows // 30)), learning_rate=0.1, depth=BITS)


class Boosted:
    """A booster trained by LightGBM and answered through its C interface, or `PackedTrees` where it is small.

    Args:
        options: null chooses them by the number of rows.
    """

    def __init__(self, options: BoostedOptions | None = None) -> None:
        self._options = options
        self._text = ""

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Learn from features of shape (rows, features) and z of shape (rows,)."""
        import lightgbm  # noqa: PLC0415  (a second of processor time that only training needs)

        options = self._options or BoostedOptions.for_rows(len(z))
        parameters = {
            "objective": options.objective,
            "num_leaves": options.leaves,
            "learning_rate": options.learning_rate,
            "min_data_in_leaf": options.min_rows,
            "max_bin": options.bins,
            "max_depth": options.depth,
            "linear_tree": options.slopes,
            "linear_lambda": options.ridge,
            "feature_fraction": 0.6,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "seed": seed,
            "deterministic": True,
            "force_row_wise": True,
            # Whoever fits several models runs them side by side instead: see docs/log.md.
            "num_threads": 1,
            "verbose": -1,
        }
        booster = lightgbm.train(parameters, lightgbm.Dataset(features, z), options.trees)
        return self._read(booster.model_to_string(importance_type="gain"))

    def predict(self, features: Array) -> Array:
        """Z of shape (rows,)."""
        return (self._packed or self._native).predict(features)

    def predict_one(self, features: list[float]) -> float:
        """`predict` for one row."""
        return self._native.predict_one(features)

    def save(self, stem: Path) -> None:
        """Write LightGBM's text format."""
        Path(f"{stem}{SUFFIX}").write_text(self._text)

    @classmethod
    def load(cls, stem: Path) -> Self:
        """Read what `save` wrote."""
        path = Path(f"{stem}{SUFFIX}")
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ArtefactError(f"{path}: {error}") from error
        return cls()._read(text)

    def _read(self, text: str) -> Self:
        ensemble = Ensemble.parse(text)
        self._text = text
        self._native = NativeBooster(ensemble)
        self._packed = PackedTrees.of(ensemble.trees)
        return self
