"""What holds for predictors of every operator; of every family see `test_every_predictor.py`."""

import msgspec
import numpy as np
import polars as pl
import pytest

from foretell.datasets.operators import OPERATORS
from foretell.errors import InputError
from foretell.predictors import build, load
from foretell.predictors.options import TableOptions
from foretell.training.targets import TARGETS

ROWS = 180
NOISE = 0.05
"""Standard deviation of the logarithm of a made-up latency."""
TEXTS = {
    "attention": {"phase": "context", "kv_dtype": "bfloat16"},
    "moe": {"distribution": "balanced"},
    "elementwise": {"function": "silu_mul"},
    "collective": {"collective": "all_reduce", "gpus": 8},
}
"""Of one table of each operator that has more than numbers."""
OTHER = {
    "attention": {"kv_dtype": "fp8"},
    "moe": {"distribution": "power_law_1.2"},
    "elementwise": {"function": "exp"},
    "collective": {"gpus": 4},
}
"""Of a table that nobody measured."""


def frame(queries):
    return pl.DataFrame([msgspec.to_builtins(query) for query in queries])


@pytest.fixture(scope="module", params=OPERATORS)
def operator(request):
    """Each operator in turn."""
    return request.param


@pytest.fixture(scope="module")
def family(operator):
    """Trees where tables and texts are most; elsewhere the family that costs nothing to fit."""
    return "lightgbm" if operator == "collective" else "roofline"


@pytest.fixture(scope="module")
def target(operator):
    return TARGETS[f"{operator}.latency"]


@pytest.fixture(scope="module")
def task(target):
    return target.task


@pytest.fixture(scope="module")
def queries(operator, make_queries):
    """Those of two devices, one table each."""
    return make_queries(operator, 40, seed=1, **TEXTS.get(operator, {}))


@pytest.fixture(scope="module")
def rows(operator, task, make_queries):
    """Measured, as it were: a launch, twice the floor, and some noise."""
    rows = frame(make_queries(operator, ROWS, **TEXTS.get(operator, {})))
    encoder = build(task, TableOptions("roofline")).encoder
    noise = np.random.default_rng(0).normal(0.0, NOISE, rows.height)
    latency_us = (3.0 + 2.0 * encoder.encode(encoder.columns(rows)).floor) * np.exp(noise)
    return rows.with_columns(latency_us=latency_us)


@pytest.fixture(scope="module")
def predictor(family, target, rows):
    return build(target.task, TableOptions(family, groups=target.splits[target.split])).fit(rows, seed=0)


def test_frames_batches_and_single_queries_agree(predictor, queries):
    framed = predictor.predict(frame(queries))
    batch, single = predictor.answer(queries), [predictor.answer([query]) for query in queries]
    # The features of one row are computed by math, of many by NumPy: the last digits may differ.
    np.testing.assert_allclose(batch.values, framed.values, rtol=1e-9)
    np.testing.assert_allclose(np.concatenate([one.values for one in single]), framed.values, rtol=1e-9)
    np.testing.assert_array_equal(np.concatenate([one.outside for one in single]), framed.outside)


def test_saved_and_loaded_is_identical(predictor, queries, tmp_path):
    predictor.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.answer(queries).values, predictor.answer(queries).values)
    assert (loaded.task, loaded.tables()) == (predictor.task, predictor.tables())


def test_column_order_is_irrelevant(predictor, queries):
    rows = frame(queries)
    turned = rows.select(sorted(rows.columns, reverse=True))
    np.testing.assert_array_equal(predictor.predict(turned).values, predictor.predict(rows).values)


def test_each_table_has_a_model(predictor, queries):
    assert predictor.tables() == sorted({predictor.encoder.place(query).table for query in queries})


def test_another_table_of_the_operator_is_flagged(predictor, operator, queries):
    if operator not in TEXTS:
        pytest.skip("its tables differ in nothing of its own")
    other = OTHER[operator]
    moved = [msgspec.structs.replace(query, **other) for query in queries[:3]]
    assert predictor.answer(moved).outside.all()


def test_the_median_follows_the_measurements(predictor, rows):
    asked = rows.drop("latency_us")
    errors = np.abs(np.log(predictor.predict(asked).at(0.5) / rows["latency_us"].to_numpy()))
    # The noise alone has a median of two thirds of its deviation; a launch that is off by a half adds 0.4.
    assert np.median(errors) < 0.4


def test_a_label_is_refused(predictor, rows):
    with pytest.raises(InputError) as refused:
        predictor.predict(rows)
    assert refused.value.field == "latency_us"
