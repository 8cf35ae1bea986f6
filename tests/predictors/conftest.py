"""Fitted predictors of every family, and what they are asked."""

from types import SimpleNamespace

import polars as pl
import pytest

from foretell.predictors import build
from foretell.predictors.base import Task
from foretell.predictors.families import FAMILIES
from foretell.predictors.options import TableOptions

TASK = Task("gemm.latency", "us", "latency_us", "gemm")
QUERY = ["m", "n", "k", "dtype", "device", "backend", "backend_version"]
USUAL = {"m": 100, "n": 2048, "k": 4096, "dtype": "bfloat16", "device": "h100"}
USUAL |= {"backend": "vllm", "backend_version": "0.24.0"}


@pytest.fixture(scope="session")
def measure(make_kernel_rows):
    """A maker of measured rows: each device with two backends, one a fifth slower than the other."""

    def make(devices=("h100", "l40s"), **options):
        rows = make_kernel_rows(devices, **options).select(*QUERY, "latency_us")
        slower = rows.with_columns(pl.col("latency_us") * 1.2, backend=pl.lit("trtllm"))
        return pl.concat([rows, slower])

    return make


@pytest.fixture(scope="session")
def train():
    """A fitted predictor of one family from rows."""

    def fit(family, rows, *, seed=0, **options):
        return build(TASK, TableOptions(family, **options)).fit(rows, seed=seed)

    return fit


@pytest.fixture(scope="session")
def rows(measure):
    """Two devices with two backends each, 96 rows a table."""
    return measure(sites=16)


@pytest.fixture(scope="session")
def queries(measure):
    """Products on the same devices and backends with weights that were not measured."""
    return measure(sites=10, seed=1).select(QUERY)


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family(request):
    """Each model family in turn."""
    return request.param


@pytest.fixture(scope="session")
def predictor(family, rows, train):
    """A fitted predictor of each family."""
    return train(family, rows)


@pytest.fixture(scope="session")
def roofline(rows, train):
    """A fitted predictor of the family that costs nothing to fit."""
    return train("roofline", rows)


@pytest.fixture
def ask(predictor):
    """The answer to the usual query with some fields changed: median, width of the interval, flag."""

    def answered(**changes):
        query = predictor.query(**(USUAL | changes))
        prediction = predictor.answer([query])
        (low, median, high), (outside,) = prediction.values[0], prediction.outside
        return SimpleNamespace(median=median, width=high / low, outside=bool(outside))

    return answered
