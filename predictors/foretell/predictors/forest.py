"""A random forest by scikit-learn (Breiman, 2001): the baseline that most of the field uses."""

from pathlib import Path
from typing import Any, Final, Self
from zipfile import BadZipFile

import numpy as np

from foretell.errors import ArtefactError
from foretell.features.base import Array

SUFFIX: Final = ".skops"
TREE: Final = "sklearn.tree._tree.Tree"
"""Holds no code but indices that scikit-learn follows unchecked, so that skops leaves the trust to us."""
LEAF: Final = -1


class Forest:
    """scikit-learn's forest on the same features."""

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Learn from features of shape (rows, features) and z of shape (rows,)."""
        from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415  (heavy, and only a baseline)

        self._forest: RandomForestRegressor = RandomForestRegressor(
            n_estimators=30, min_samples_leaf=2, max_features=0.33, n_jobs=1, random_state=seed
        ).fit(features, z)
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
        """Read what `save` wrote. Other types than a forest's are refused, and so are nodes out of bounds."""
        import skops.io  # noqa: PLC0415
        from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415

        path = f"{stem}{SUFFIX}"
        loaded = cls()
        try:
            loaded._forest = skops.io.load(path, trusted=[TREE])
        except (OSError, BadZipFile, KeyError, ValueError, UntrustedTypesFoundException) as error:
            raise ArtefactError(f"{path}: {error}") from error
        if not _is_sound(loaded._forest):
            raise ArtefactError(f"{path} holds no forest, or one whose nodes lead nowhere")
        return loaded


def _is_sound(forest: object) -> bool:
    """Whether this is a forest in which each node leads to a later one, and asks for a feature there is."""
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    if not isinstance(forest, RandomForestRegressor):
        return False
    return all(_leads_on(tree.tree_, forest.n_features_in_) for tree in forest.estimators_)


def _leads_on(tree: Any, features: int) -> bool:
    left, right, asked = tree.children_left, tree.children_right, tree.feature
    inner = (left != LEAF) | (right != LEAF)
    numbers = np.arange(tree.node_count)
    later = [(child > numbers) & (child < tree.node_count) for child in (left, right)]
    known = (asked >= 0) & (asked < features)
    return bool((later[0] & later[1] & known)[inner].all())
