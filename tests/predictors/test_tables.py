"""A model for each table of measurements, and who answers for what is in none."""

import msgspec
import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError
from foretell.features.gemm import GemmEncoder
from foretell.predictors import build, tables
from foretell.predictors.base import Task
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import MIN_TABLE_ROWS, TablePredictor

TASK = Task("gemm.latency", "us", "latency_us", "gemm")


class Echo:
    """A regressor that keeps the shapes that it was fitted on and judged on, as pairs."""

    log: list[tuple[set, set]]

    def fit(self, features, z, *, seed):
        self.fitted = {tuple(row) for row in features[:, :3]}
        return self

    def predict(self, features):
        type(self).log.append((self.fitted, {tuple(row) for row in features[:, :3]}))
        return np.zeros(len(features))


def test_each_table_has_a_model_of_its_own(roofline):
    assert roofline.tables() == sorted(
        f"{device}/bfloat16/{backend}/0.24.0" for device in ("h100", "l40s") for backend in ("vllm", "trtllm")
    )


def test_a_shape_measured_twice_is_not_torn_apart(rows):
    Echo.log = []
    once = rows.filter(device="h100", backend="vllm")
    twice = pl.concat([once, once.with_columns(pl.col("latency_us") * 1.05)])
    options = TableOptions("roofline", groups=(), generalist=False)
    TablePredictor(TASK, options, GemmEncoder(), Echo).fit(twice, seed=0)
    assert Echo.log
    assert not any(fitted & judged for fitted, judged in Echo.log)


@pytest.mark.parametrize("groups", [("n", "k"), ("m",), ()])
def test_groups_are_left_out_whole(rows, groups):
    Echo.log = []
    options = TableOptions("roofline", groups=groups, generalist=False)
    TablePredictor(TASK, options, GemmEncoder(), Echo).fit(rows, seed=0)
    axes = ["mnk".index(name) for name in groups or "mnk"]
    for fitted, judged in Echo.log:
        assert not {tuple(row[axis] for axis in axes) for row in fitted} & {
            tuple(row[axis] for axis in axes) for row in judged
        }


def test_a_small_table_is_left_to_the_generalist(rows, train):
    large = rows.filter(device="h100")
    predictor = train("roofline", pl.concat([large, rows.filter(device="l40s").head(MIN_TABLE_ROWS - 1)]))
    assert {name.split("/")[0] for name in predictor.tables()} == {"h100"}
    answer = predictor.answer([predictor.query(m=8, n=2048, k=4096, dtype="bfloat16", device="l40s")])
    assert not answer.outside[0]


@pytest.mark.parametrize("generalist", [True, False])
def test_too_few_rows_to_calibrate_are_refused(rows, train, generalist):
    with pytest.raises(InputError, match="50 rows"):
        train("roofline", rows.head(MIN_TABLE_ROWS - 1), generalist=generalist)


def test_a_single_group_is_refused(rows, train):
    one = rows.with_columns(n=pl.lit(1024), k=pl.lit(1024))
    with pytest.raises(InputError, match="two groups"):
        train("roofline", one)


def test_without_a_generalist_a_table_that_was_not_measured_is_refused(rows, train):
    predictor = train("roofline", rows, generalist=False)
    query = predictor.query(
        m=8, n=8, k=8, dtype="bfloat16", device="h100", backend="torch", backend_version="1"
    )
    with pytest.raises(InputError, match=r"h100/bfloat16/vllm/0\.24\.0") as refused:
        predictor.answer([query])
    assert refused.value.field == "backend, backend_version"


def test_fitting_again_forgets_what_was_learnt_before(rows, train, queries):
    predictor = train("roofline", rows.filter(device="h100"))
    asked = [msgspec.convert(row, predictor.query) for row in queries.head(1).iter_rows(named=True)]
    slower = rows.filter(device="h100").with_columns(pl.col("latency_us") * 2)
    predictor.fit(slower, seed=0)
    fresh = train("roofline", slower).answer(asked).values
    np.testing.assert_array_equal(predictor.answer(asked).values, fresh)
    predictor.fit(rows.filter(device="l40s"), seed=0)
    assert {name.split("/")[0] for name in predictor.tables()} == {"l40s"}


def test_with_three_families_of_hardware_the_unseen_interval_is_calibrated(measure, train):
    few = train("roofline", measure(("h100", "h200"), sites=10))
    many = train("roofline", measure(("h100", "l40s", "a100_80"), sites=10))
    query = few.query(m=100, n=2048, k=4096, dtype="bfloat16", device="mi300x")
    prior, calibrated = few.answer([query]), many.answer([query])
    assert prior.outside[0]
    assert calibrated.outside[0]
    # Two of one family vouch for nobody: the prior of six to either side.
    assert prior.at(0.95)[0] / prior.at(0.05)[0] == pytest.approx(36.0, rel=1e-9)
    assert calibrated.at(0.95)[0] / calibrated.at(0.05)[0] != pytest.approx(36.0, rel=1e-3)


def test_many_places_and_levels_do_not_pile_up(roofline, monkeypatch):
    monkeypatch.setattr(tables, "REMEMBERED", 10)
    query = roofline.query(m=8, n=8, k=8, dtype="bfloat16", device="h100")
    for number in range(1, 100):
        roofline.answer([query], (number / 100,))
    assert len(roofline._routes) <= 10


def test_an_unknown_family_is_refused_with_those_there_are():
    with pytest.raises(InputError, match="forest, lightgbm, roofline"):
        build(TASK, TableOptions("oracle"))
