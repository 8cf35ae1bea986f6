"""Packed trees answer what LightGBM's own walk through them answers, to the bit."""

import lightgbm
import numpy as np
import pytest

from foretell.predictors.ensemble import Ensemble, Tree
from foretell.predictors.native import NativeBooster
from foretell.predictors.packed import BITS, BLOCK, MAX_LEAVES, PackedTrees

DEEP = {"leaves": MAX_LEAVES, "max_depth": BITS}


def booster(leaves, trees=30, rows=800, **options):
    """A trained ensemble and features like those it has seen."""
    rng = np.random.default_rng(0)
    # Whole numbers repeat, so that rows lie exactly on the neighbours of thresholds.
    features = np.column_stack([rng.normal(size=rows), rng.integers(0, 5, rows), rng.exponential(size=rows)])
    labels = np.sin(3 * features[:, 0]) + features[:, 1] * features[:, 2]
    parameters = {"num_leaves": leaves, "min_data_in_leaf": 2, "verbose": -1, "num_threads": 1, **options}
    trained = lightgbm.train(parameters, lightgbm.Dataset(features, labels), trees)
    return Ensemble.parse(trained.model_to_string()), features


@pytest.mark.parametrize("leaves", [2, 3, 9, MAX_LEAVES])
@pytest.mark.parametrize("rows", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 800])
def test_responses_equal_those_of_the_native_walk(leaves, rows):
    ensemble, features = booster(leaves, max_depth=BITS)
    packed = PackedTrees.of(ensemble.trees)
    native = NativeBooster(ensemble)
    np.testing.assert_array_equal(packed.predict(features[:rows]), native.predict(features[:rows]))


def test_values_on_and_around_every_threshold_take_the_same_side():
    ensemble, features = booster(**DEEP)
    packed, native = PackedTrees.of(ensemble.trees), NativeBooster(ensemble)
    for column in range(features.shape[1]):
        splits = [split for tree in ensemble.trees
                  for split in zip(tree.features, tree.thresholds.split(), strict=True)]  # fmt: skip
        on = [float(threshold) for feature, threshold in splits if feature == column]
        around = np.concatenate([np.nextafter(on, -np.inf), on, np.nextafter(on, np.inf), [0.0, -0.0, 1e300]])
        rows = np.resize(features, (len(around), features.shape[1]))
        rows[:, column] = around
        np.testing.assert_array_equal(packed.predict(rows), native.predict(rows))


def test_trees_without_splits_add_their_constant():
    stump = Tree(2, [0], "0.5", [-1], [-2], "1.0 2.0", [2], False)
    constant = Tree(1, [], "", [], [], "10.0", [], False)
    packed = PackedTrees.of([constant, stump, constant])
    assert packed.predict(np.array([[0.5], [0.6]])).tolist() == [21.0, 22.0]


@pytest.mark.parametrize(
    "options",
    [
        {"leaves": MAX_LEAVES + 1, "max_depth": BITS},
        {"leaves": MAX_LEAVES, "min_data_in_leaf": 1, "trees": 60},
        {"leaves": 8, "zero_as_missing": True},
        {"leaves": 8, "linear_tree": True},
    ],
    ids=["large", "deep", "zero is missing", "sloped"],
)
def test_ensembles_of_another_kind_are_left_to_lightgbm(options):
    ensemble, _ = booster(**options)
    assert PackedTrees.of(ensemble.trees) is None
