import dataframely as dy
import polars as pl
import pytest

from foretell.datasets.validate import validate
from foretell.errors import InputError


class Pair(dy.Schema):
    low = dy.Float64(min=0.0)
    high = dy.Float64(min=0.0)

    @dy.rule()
    def ordered(cls) -> pl.Expr:
        return pl.col("low") <= pl.col("high")


def test_rows_are_parted_by_the_rules_they_break():
    rows = pl.DataFrame({"low": [1.0, 2.0, -1.0], "high": [2.0, 1.0, -2.0]})
    valid, broken = validate(rows, Pair)
    assert valid.rows() == [(1.0, 2.0)]
    assert broken.rows() == [(2.0, 1.0, "ordered"), (-1.0, -2.0, "high|min,low|min,ordered")]


def test_all_rows_valid_leaves_an_empty_rest_with_its_columns():
    _, broken = validate(pl.DataFrame({"low": [1.0], "high": [2.0]}), Pair)
    assert broken.schema == {"low": pl.Float64, "high": pl.Float64, "rule": pl.String}
    assert broken.is_empty()


def test_columns_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match=r"^high: got 'no such column'"):
        validate(pl.DataFrame({"low": [1.0]}), Pair)
