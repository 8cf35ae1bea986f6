"""Pictures are files that can be looked at."""

import numpy as np
import pytest
from matplotlib.image import imread

from foretell.predictors.base import LEVELS, Prediction
from foretell.training.plots import SUFFIXES, accuracy, calibration_figure, size_figure


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


def written(figure, path):
    figure.savefig(path)
    return imread(path)


def test_the_error_by_size_has_two_lines_for_each_name(tmp_path):
    actual = np.geomspace(1, 1000, 60)
    values = actual[:, None] * np.array([0.8, 1.1, 1.4])
    prediction = Prediction("gemm.latency", "us", LEVELS, values, np.zeros(60, dtype=bool))
    figure = size_figure(prediction, actual, ["float32", "fp8", "fp8"] * 20)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == [f"{d}: {w}" for d in ("float32", "fp8") for w in ("median", "90th percentile")]
    # Every prediction is a tenth too long.
    assert {round(float(y), 9) for line in figure.axes[0].lines for y in line.get_ydata()} == {10.0}
    assert written(figure, tmp_path / "sizes.png").std() > 0.01


def test_the_calibration_shows_the_shares_over_their_levels(tmp_path):
    figure = calibration_figure([0.05, 0.5, 0.95], [0.1, 0.4, 0.9], 100)
    points = figure.axes[0].lines[-1]
    assert [*zip(points.get_xdata(), points.get_ydata(), strict=True)] == [
        (0.05, 0.1),
        (0.5, 0.4),
        (0.95, 0.9),
    ]
    assert written(figure, tmp_path / "calibration.png").std() > 0.01
