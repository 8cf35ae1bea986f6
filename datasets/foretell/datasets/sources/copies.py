"""Find tables of measurements that are copies of one another under different names.

Two honest measurements agree in the last digit by chance only. In the GEMM tables of aiconfigurator-core
0.12.0 honest pairs share up to 2 % of their rows, and 13 % where the clock ticked in whole microseconds;
copies share nearly all, fewer where rows were left out or replaced afterwards.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl

COPY_SHARE: Final = 0.5
"""Share of the smaller table's rows, found in the other with the same value, that makes a copy."""


def find_copies(rows: pl.DataFrame, table: Sequence[str], row: Sequence[str]) -> pl.DataFrame:
    """Pairs of tables that hold the same rows, in whatever order.

    Args:
        rows: any rows; one table is what has the same values in the columns `table`.
        table: columns that name a table.
        row: columns of its content, the measured value among them.

    Returns:
        One line for each ordered pair: `table` and `copy_of` (values joined by a slash), `shared_rows` and
        `share` of the smaller one, sorted by names. Which of a pair was measured cannot be told from it.
    """
    # Rows are compared by 64-bit hashes: at 3 million rows fewer than one in a million runs has any clash.
    hashed = rows.select(table_name(table), content=pl.struct(row).hash()).unique()
    sizes = hashed.group_by("table").len("rows")
    twice = hashed.filter(pl.col("content").is_duplicated())
    pairs = twice.join(twice.rename({"table": "copy_of"}), on="content").group_by("table", "copy_of")
    return (
        pairs.len("shared_rows")
        .filter(pl.col("table") != pl.col("copy_of"))
        .join(sizes, on="table")
        .join(sizes.rename({"table": "copy_of"}), on="copy_of", suffix="_of_copy")
        .with_columns(share=pl.col("shared_rows") / pl.min_horizontal("rows", "rows_of_copy"))
        .filter(pl.col("share") >= COPY_SHARE)
        .select("table", "copy_of", "shared_rows", "share")
        .sort("table", "copy_of")
    )


def copy_rule(copies: pl.DataFrame, table: Sequence[str]) -> pl.Expr:
    """The rule ``copy_of:<table>`` in each row of the tables in `copies`, as `find_copies` gives them."""
    first = copies.unique("table", keep="first", maintain_order=True)
    rules = {name: f"copy_of:{of}" for name, of in first.select("table", "copy_of").iter_rows()}
    return table_name(table).replace_strict(rules, default=None, return_dtype=pl.String)


def table_name(table: Sequence[str]) -> pl.Expr:
    """The name of a row's table: the values of its columns, joined by a slash."""
    return pl.concat_str(table, separator="/").alias("table")
