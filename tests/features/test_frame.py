"""A frame of queries: whatever does not fit is refused with its row, column and value."""

import math

import numpy as np
import polars as pl
import pytest

from foretell.datasets.operators.fields import MAX_DIMENSION
from foretell.datasets.operators.gemm import GemmQuery
from foretell.errors import InputError
from foretell.features.frame import query_columns


@pytest.fixture
def good():
    """Three rows in which nothing is wrong."""
    return pl.DataFrame(
        {
            "m": [1, 2, 3],
            "n": [8, 8, 8],
            "k": [16, 16, MAX_DIMENSION],
            "dtype": ["bfloat16", "fp8", "float32"],
            "device": ["h100", "h200", "h100"],
            "backend": ["vllm", None, None],
            "backend_version": ["1", None, "2"],
        }
    )


def refused(frame):
    with pytest.raises(InputError) as error:
        query_columns(frame, GemmQuery)
    return error.value


def test_good_rows_keep_their_values(good):
    columns = query_columns(good, GemmQuery)
    for name in "mnk":
        np.testing.assert_array_equal(columns[name], good[name].to_numpy())
    for name in ("dtype", "device", "backend", "backend_version"):
        assert list(columns[name]) == good[name].to_list()


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int32, pl.UInt64])
def test_any_integer_type_is_taken(good, dtype):
    rows = good.with_columns(pl.col("m").cast(dtype))
    np.testing.assert_array_equal(query_columns(rows, GemmQuery)["m"], [1, 2, 3])


def test_optional_columns_may_be_absent_or_empty(good):
    for rows in (good.drop("backend"), good.with_columns(backend=None)):
        assert list(query_columns(rows, GemmQuery)["backend"]) == [None] * 3


@pytest.mark.parametrize("column", ["m", "n", "k"])
@pytest.mark.parametrize("value", [0, -1, MAX_DIMENSION + 1, 2**62])
def test_a_shape_that_is_none_is_refused(good, column, value):
    error = refused(good.with_columns(pl.Series(column, [1, value, 1])))
    assert error.field == f"rows[1].{column}"
    assert error.value == str(value)
    assert error.expected == f"an integer from 1 to {MAX_DIMENSION}"


@pytest.mark.parametrize(
    "values",
    [
        [1.0, 2.0, 3.0],
        [1.5, 2.0, 3.0],
        [1.0, math.nan, 2.0],
        [1.0, math.inf, 2.0],
        ["1", "2", "3"],
        [True, False, True],
        [[1], [2], [3]],
    ],
)
def test_a_column_that_holds_no_integers_is_refused(good, values):
    error = refused(good.with_columns(pl.Series("m", values)))
    assert error.field.endswith("m")
    assert "integer" in error.expected


@pytest.mark.parametrize("column", ["m", "k", "dtype", "device"])
def test_a_missing_value_is_refused(good, column):
    gap = good.with_columns(
        pl.when(pl.int_range(pl.len()) == 2).then(None).otherwise(pl.col(column)).alias(column)
    )
    error = refused(gap)
    assert (error.field, error.value) == (f"rows[2].{column}", "None")


@pytest.mark.parametrize("column", ["m", "device"])
def test_a_column_of_nothing_is_refused(good, column):
    assert refused(good.with_columns(pl.lit(None).alias(column))).field == f"rows[0].{column}"


def test_an_unknown_data_type_is_refused_with_those_there_are(good):
    error = refused(good.with_columns(dtype=pl.Series(["bfloat16", "float32", "bf17"])))
    assert (error.field, error.value) == ("rows[2].dtype", "'bf17'")
    assert "bfloat16" in error.expected


@pytest.mark.parametrize("column", ["device", "backend", "backend_version"])
@pytest.mark.parametrize("value", ["", "x" * 65])
def test_a_name_of_no_or_absurd_length_is_refused(good, column, value):
    error = refused(good.with_columns(pl.Series(column, ["h100", value, "h100"])))
    assert error.field == f"rows[1].{column}"
    assert "1 to 64 characters" in error.expected


@pytest.mark.parametrize("column", ["dtype", "device", "backend"])
def test_a_number_for_a_text_is_refused(good, column):
    error = refused(good.with_columns(pl.lit(7).alias(column)))
    assert error.field.endswith(column)


@pytest.mark.parametrize("column", ["m", "dtype", "device"])
def test_a_missing_column_is_refused_by_name(good, column):
    assert refused(good.drop(column)).field == column


@pytest.mark.parametrize("column", ["latency_us", "M", ""])
def test_an_unknown_column_is_refused_by_name(good, column):
    error = refused(good.with_columns(pl.lit(1).alias(column)))
    assert error.field == column
    assert "backend_version" in error.expected


def test_a_frame_without_rows_is_refused(good):
    assert refused(good.clear()).field == "rows"


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["h100", "h200"])])
def test_any_text_type_is_taken(good, dtype):
    batch = query_columns(good.with_columns(pl.col("device").cast(dtype)), GemmQuery)
    assert list(batch["device"]) == ["h100", "h200", "h100"]
