"""LightGBM's C interface answers exactly as LightGBM's own Python does."""

import gc
import threading

import lightgbm
import numpy as np
import psutil
import pytest

from foretell.predictors.ensemble import Ensemble
from foretell.predictors.native import NativeBooster

WIDTH = 7


def boosted(z, trees=40):
    return lightgbm.train(
        {"verbose": -1, "num_leaves": 15, "num_threads": 1}, lightgbm.Dataset(inputs(len(z)), z), trees
    )


def inputs(rows, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, WIDTH))


@pytest.fixture(scope="module")
def booster():
    return boosted(inputs(500) @ np.arange(WIDTH))


@pytest.fixture(scope="module")
def text(booster):
    return booster.model_to_string()


@pytest.fixture
def native(text):
    return NativeBooster(Ensemble.parse(text))


def test_rows_get_what_lightgbm_says(booster, native):
    # Splits at zero and missing values are where a reimplementation would differ.
    features = inputs(300, seed=1)
    features[::7] = 0.0
    features[::11] = np.nan
    np.testing.assert_array_equal(native.predict(features), booster.predict(features))


def test_one_row_gets_what_lightgbm_says(booster, native):
    features = inputs(100, seed=2)
    single = [native.predict_one(row.tolist()) for row in features]
    np.testing.assert_array_equal(single, booster.predict(features))


def test_whatever_the_layout_in_memory(booster, native):
    features = inputs(60, seed=3)
    expected = booster.predict(features)
    np.testing.assert_array_equal(native.predict(np.asfortranarray(features)), expected)
    np.testing.assert_array_equal(native.predict(features[::2]), expected[::2])
    np.testing.assert_array_equal(
        native.predict(features.astype(np.float32)), booster.predict(features.astype(np.float32))
    )


def test_a_constant_is_learnt_too(native):
    constant = boosted(np.full(100, 3.0))
    assert (
        NativeBooster(Ensemble.parse(constant.model_to_string())).predict_one([0.0] * WIDTH)
        == constant.predict(inputs(1))[0]
    )


def test_features_of_another_width_are_refused(native):
    with pytest.raises(ValueError, match=r"\(3, 6\).*7"):
        native.predict(np.zeros((3, 6)))
    with pytest.raises(ValueError, match="7"):
        native.predict_one([0.0] * 6)


def test_threads_get_the_answers_of_one(booster, native):
    features = inputs(2_000, seed=4)
    expected = booster.predict(features)
    found = {}

    def answer(number):
        found[number] = [native.predict_one(row) for row in features.tolist()]

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(len(threads)):
        np.testing.assert_array_equal(found[number], expected)


def test_memory_is_given_back():
    large = boosted(inputs(1_000)[:, 0], trees=300).model_to_string()
    ensemble = Ensemble.parse(large)

    def load():
        NativeBooster(ensemble).predict_one([0.0] * WIDTH)
        gc.collect()
        return psutil.Process().memory_info().rss

    for _ in range(3):  # until the allocator has grown to what it needs
        settled = load()
    grown = [load() for _ in range(20)][-1] - settled
    # Each copy takes more than its text (most of a megabyte); twenty leaked ones would show.
    assert grown < 5 * len(large)
