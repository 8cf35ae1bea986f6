"""A random forest by scikit-learn (Breiman, 2001): the baseline that most of the field uses."""

from pathlib import Path
from typing import Final, Self
from zipfile import BadZipFile

import numpy as np

from foretell.errors import ArtefactError
from foretell.features.base import Array

SUFFIX: Final = ".skops"


class Forest:
    """scikit-learn's forest on the same features."""

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Learn from features of shape (rows, features) and z of shape (rows,)."""
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415  (heavy, and only a baseline)

        self._forest: RandomForestRegressor = RandomForestRegressor(
            n_estimators=30, min_samples_leaf=2, max_features=0.33, n_jobs=1, random_state=seed
        ).fit(features, z)
        # A pool of threads costs more than it saves on a few rows.
        self._forest.set_params(n_jobs=1)
        return self

    def predict(self, features: Array) -> Array:
        """Z of shape (rows,)."""
        return np.asarray(self._forest.predict(features))

    def predict_one(self, features: list[float]) -> float:
        """`predict` for one row."""
        return float(self._forest.predict(np.array([features]))[0])

    def save(self, stem: Path) -> None:
        """Write the skops format, which names the types that it holds."""
        import skops.io  # noqa: PLC0415

        skops.io.dump(self._forest, f"{stem}{SUFFIX}")

    @classmethod
    def load(cls, stem: Path) -> Self:
        """Read what `save` wrote. Types outside of skops' own list of safe ones are refused."""
        import skops.io  # noqa: PLC0415
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415
        from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

        loaded = cls()
        try:
            forest = skops.io.load(f"{stem}{SUFFIX}", trusted=[])
        except (OSError, BadZipFile, KeyError, ValueError, UntrustedTypesFoundException) as error:
            raise ArtefactError(f"{stem}{SUFFIX}: {error}") from error
        if not isinstance(forest, RandomForestRegressor):
            raise ArtefactError(f"{stem}{SUFFIX} holds a {type(forest).__name__}, expected a forest")
        loaded._forest = forest
        return loaded
