"""Pictures are files that can be looked at."""

import numpy as np
import pytest
from matplotlib.image import imread

from foretell.predictors.base import LEVELS, Prediction
from foretell.training.plots import SUFFIXES, accuracy


def drawn(path, rows, tables):
    rng = np.random.default_rng(0)
    actual = 10.0 ** rng.uniform(0, 4, rows)
    values = actual[:, None] * np.array([0.8, 1.1, 1.4])
    prediction = Prediction("gemm.latency", "us", LEVELS, values, np.zeros(rows, dtype=bool))
    return accuracy(path, prediction, actual, [f"table {i % tables}" for i in range(rows)])


@pytest.mark.parametrize(("rows", "tables"), [(200, 2), (200, 30), (1, 1), (5, 5)])
def test_the_picture_is_a_readable_png_with_something_on_it(tmp_path, rows, tables):
    image = imread(drawn(tmp_path / "accuracy.png", rows, tables))
    height, width = image.shape[:2]
    assert min(height, width) > 400
    assert image.std() > 0.01, "nothing was drawn"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_that_is_offered_is_written(tmp_path, suffix):
    assert drawn(tmp_path / f"accuracy{suffix}", 20, 2).stat().st_size > 1000
