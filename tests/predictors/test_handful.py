"""Measurements of a device that was not learnt: refused where they do not fit, used where they do."""

import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError
from foretell.predictors import load
from foretell.predictors.base import LEVELS
from foretell.predictors.handful import MIN_POINTS

FAMILIES_OF_HARDWARE = ("h100", "l40s", "a100_80", "b200")
NEW = "mi210"
SLOWER = 1.6
"""What the made-up new device takes over what the physics of the others say."""


@pytest.fixture(scope="module")
def predictor(measure, train):
    """For devices that were not measured, from four families of hardware."""
    return train("lightgbm", measure(FAMILIES_OF_HARDWARE, sites=10), measured=False)


@pytest.fixture(scope="module")
def measured(make_kernel_rows, predictor):
    """Rows of a slow new device."""
    rows = make_kernel_rows((NEW,), sites=20, seed=3)
    columns = [name for name in predictor.query.__struct_fields__ if name in rows.columns]
    return rows.select(*columns, (pl.col("latency_us") * SLOWER))


@pytest.fixture(scope="module")
def few(measured):
    return measured.sample(16, seed=0)


def error_percent(predictor, rows):
    answer = predictor.predict(rows.drop("latency_us"))
    return float(np.mean(np.abs(answer.at(0.5) / rows["latency_us"].to_numpy() - 1))) * 100


def width(predictor, rows):
    answer = predictor.predict(rows.drop("latency_us"))
    return float(np.median(answer.at(0.95) / answer.at(0.05)))


def test_a_handful_brings_the_error_down_and_the_interval_with_it(predictor, measured, few):
    rest = measured.join(few, on=["m", "n", "k"], how="anti")
    adapted = predictor.adapted(few)
    # Rows are slower alike, launches too, which the priors allow in part: a third of the error goes at least.
    assert error_percent(adapted, rest) < 0.67 * error_percent(predictor, rest)
    assert width(adapted, rest) < width(predictor, rest)


def test_the_flag_stays_and_the_predictor_stays_as_it_was(predictor, measured, few):
    asked = measured.drop("latency_us")
    before = predictor.predict(asked).values
    adapted = predictor.adapted(few)
    assert adapted.predict(asked).outside.all()
    np.testing.assert_array_equal(predictor.predict(asked).values, before)


def test_other_devices_are_answered_as_before(predictor, few):
    query = predictor.query(m=100, n=2048, k=4096, dtype="bfloat16", device="rtx_5090")
    answers = [model.answer([query]).values for model in (predictor, predictor.adapted(few))]
    np.testing.assert_array_equal(*answers)


def test_saved_and_loaded_is_identical(predictor, measured, few, tmp_path):
    predictor.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    asked = measured.drop("latency_us")
    np.testing.assert_array_equal(loaded.predict(asked).values, predictor.predict(asked).values)
    again = loaded.adapted(few).predict(asked).values
    np.testing.assert_array_equal(again, predictor.adapted(few).predict(asked).values)


def test_a_device_farther_from_those_seen_has_a_wider_interval(predictor):
    def reach(device):
        query = predictor.query(m=100, n=2048, k=4096, dtype="bfloat16", device=device)
        low, _, high = predictor.answer([query], LEVELS).values[0]
        return high / low

    # The figures of an A100 with less memory lie among those seen, those of an MI355X above all of them.
    assert reach("mi355x") > reach("a100_40")


def test_one_shape_measured_twice_counts_by_its_mean(predictor, few):
    twice = pl.concat([few.with_columns(pl.col("latency_us") * factor) for factor in (1.1, 1 / 1.1)])
    once, both = (
        model.predict(few.drop("latency_us")).values for model in map(predictor.adapted, (few, twice))
    )
    # The geometric mean is what stood there before, to rounding.
    np.testing.assert_allclose(both, once, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        (lambda rows: rows.drop("latency_us"), "latency_us", "a column of that name"),
        (lambda rows: rows.drop("device"), "device", "a column of that name"),
        (lambda rows: rows.head(MIN_POINTS - 1), "rows", "at least 8 shapes"),
        (lambda rows: rows.head(0), "rows", "at least 8"),
        (lambda rows: rows.with_columns(pl.lit(-1.0).alias("latency_us")), "rows[0].latency_us", "positive"),
        (lambda rows: rows.with_columns(pl.lit("1").alias("latency_us")), "latency_us", "positive numbers"),
        (lambda rows: rows.with_columns(colour=pl.lit("red")), "colour", "only the columns"),
        (lambda rows: rows.with_columns(device=pl.lit("h100")), "device", "has not learnt"),
        (
            lambda rows: rows.with_columns(device=pl.Series([NEW, "t4"] * 8)),
            "device",
            "measurements of one device",
        ),
        (
            lambda rows: pl.concat([rows, rows.with_columns(pl.col("latency_us") * 2)]),
            "latency_us",
            "within a factor of 1.5",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(predictor, few, change, field, message):
    with pytest.raises(InputError, match=message) as refused:
        predictor.adapted(change(few))
    assert refused.value.field == field


def test_a_baseline_takes_no_handful(roofline, few):
    with pytest.raises(InputError, match="transfers"):
        roofline.adapted(few)
