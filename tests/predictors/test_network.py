"""An adapted device as a predictor: what it takes, what it refuses, saved and loaded."""

import numpy as np
import polars as pl
import pytest

from foretell import predictors
from foretell.datasets.network import NetworkQuery
from foretell.datasets.spaces.base import space
from foretell.errors import ArtefactError, InputError
from foretell.features.architecture import Basis
from foretell.predictors.device_prior import Prior
from foretell.predictors.network import NetworkPredictor, task_of

FBNET = space("fbnet")


@pytest.fixture(scope="module")
def rows():
    """Networks whose time is their work."""
    choices = FBNET.random(16, np.random.default_rng(0)).tolist()
    latency_ms = [FBNET.network(row).operations / 5e7 for row in choices]
    return pl.DataFrame({"architecture": [FBNET.text(row) for row in choices], "latency_ms": latency_ms})


@pytest.fixture(scope="module")
def empty():
    """Without any source: made-up devices are all it knows."""
    return NetworkPredictor(task_of("fbnet", "chip"), Prior.of(Basis.of(FBNET), []))


@pytest.fixture(scope="module")
def predictor(empty, rows):
    return empty.fit(rows)


def test_the_task_names_space_device_and_unit(predictor):
    assert (predictor.task.target, predictor.task.unit) == ("network.latency.fbnet.chip", "ms")


def test_a_question_alone_is_answered_as_in_a_frame(predictor, rows):
    asked = rows.select("architecture")
    one = predictor.answer([NetworkQuery(asked["architecture"][2])])
    np.testing.assert_allclose(one.values, predictor.predict(asked).values[2:3], rtol=1e-9)


def test_what_was_saved_answers_the_same(predictor, rows, tmp_path):
    predictor.save(tmp_path / "saved")
    asked = rows.select("architecture")
    np.testing.assert_array_equal(
        predictors.load(tmp_path / "saved").predict(asked).values, predictor.predict(asked).values
    )


def test_a_damaged_file_is_refused_by_name(predictor, tmp_path):
    predictor.save(tmp_path / "saved")
    file = tmp_path / "saved" / "network.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtefactError, match=r"network\.npz is damaged"):
        predictors.load(tmp_path / "saved")


def test_repeats_that_agree_count_once(empty, rows):
    twice = empty.fit(pl.concat([rows, rows.head(1)]))
    once = empty.fit(rows)
    asked = rows.select("architecture")
    np.testing.assert_allclose(twice.predict(asked).values, once.predict(asked).values, rtol=1e-6)


def test_repeats_that_contradict_are_refused_by_name(empty, rows):
    other = rows.head(1).with_columns(pl.col("latency_ms") * 2)
    with pytest.raises(InputError, match=rows["architecture"][0]):
        empty.fit(pl.concat([rows, other]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": pl.lit("9-9-9")}, r"rows\[0\]\.architecture: got '9-9-9'"),
        ({"latency_ms": pl.lit(0.0)}, r"rows\[0\]\.latency_ms: got 0.0"),
        ({"latency_ms": pl.lit(-2.0)}, r"rows\[0\]\.latency_ms: got -2.0"),
        ({"latency_ms": pl.lit("fast")}, "columns"),
        ({"colour": pl.lit("red")}, "columns"),
    ],
)
def test_measurements_that_do_not_fit_are_refused(empty, rows, change, message):
    with pytest.raises(InputError, match=message):
        empty.fit(rows.with_columns(**change))


def test_fewer_measurements_than_needed_are_refused(empty, rows):
    with pytest.raises(InputError, match="measurements: got 3"):
        empty.fit(rows.head(3))


def test_a_device_that_was_not_measured_does_not_answer(empty, rows):
    with pytest.raises(InputError, match="a device that was adapted to"):
        empty.predict(rows.select("architecture"))
