"""Shapes that one table holds more than once: measured again, written twice, or contradicting itself."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from foretell.datasets.sources.base import Note
from foretell.datasets.sources.copies import table_name

AGREEING: Final = 1.25
"""Largest factor between two measurements of one thing. Of the 2,853 shapes that NCCL's tables in
aiconfigurator hold several times 97 % agree to within it, half to within 2 %; what departs further was not
measured in the same way twice."""


def repeated(rows: pl.DataFrame, key: Sequence[str], value: str) -> pl.Series:
    """The rules ``duplicate`` and ``contradicting_duplicate``, text or null for each row.

    A row is a duplicate if the same value stands in an earlier one; all rows of a shape contradict each other
    if their values are further apart than `AGREEING`.

    Args:
        rows: any rows.
        key: columns that name a table and a shape.
        value: column of what was measured.
    """
    # Hashes find the few rows that are worth grouping.
    suspects = _suspects(rows.select(*key, value), key)
    contradicting = pl.col(value).max().over(key) > AGREEING * pl.col(value).min().over(key)
    again = ~pl.struct(*key, value).is_first_distinct()
    rule = (
        pl.when(contradicting).then(pl.lit("contradicting_duplicate")).when(again).then(pl.lit("duplicate"))
    )
    none = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    return none.scatter(suspects["index"], suspects.select(rule).to_series())


def remeasured(rows: pl.DataFrame, key: Sequence[str], table: Sequence[str], value: str) -> list[Note]:
    """A note on each table that holds a shape several times.

    Args:
        rows: rows that were accepted.
        key: columns that name a table and a shape.
        table: columns that name a table.
        value: column of what was measured.
    """
    apart = pl.col(value).max() / pl.col(value).min() - 1
    shapes = _suspects(rows.select(*key, value), key).group_by(key).agg(apart.alias("apart"))
    found = shapes.group_by(table_name(table)).agg(pl.len(), pl.col("apart").median()).sort("table")
    return [
        Note("repeats", name, f"{count} shapes were measured more than once, in the median {apart:.1%} apart")
        for name, count, apart in found.iter_rows()
    ]


def _suspects(rows: pl.DataFrame, key: Sequence[str]) -> pl.DataFrame:
    """Rows that share their key with another, and their `index`."""
    return rows.with_row_index().filter(pl.struct(key).hash().is_duplicated())
