"""Find tables of power in which two ways of measuring alternate."""

from collections.abc import Sequence
from math import log
from typing import Final

import polars as pl

from foretell.datasets.sources.base import Note
from foretell.datasets.sources.copies import table_name

PEAK: Final = log(1.3)
SHARE: Final = 0.06
"""Share of lone peaks from which on two modes are suspected. In aiconfigurator's tables of trtllm 1.3.0rc15,
0.2 to 5 % of the rows are lone peaks of power; in those of vllm 0.22.0, where equal shapes differ twofold,
6.5 to 50 %.

Latency is not looked at: it does jump between neighbours, where one of them fills its tiles."""


def two_modes(rows: pl.DataFrame, table: Sequence[str], site: Sequence[str], along: str) -> list[Note]:
    """A note on each table with many lone peaks of power: rows far above both neighbours, or far below both.

    Args:
        rows: rows with `power_w`, null where it was not measured.
        table: columns that name a table.
        site: columns in which neighbours agree.
        along: the size by which they are neighbours.
    """
    measured = rows.drop_nulls("power_w").filter(pl.col("power_w") > 0).sort(along)
    power = pl.col("power_w").log()
    line = [*table, *site]
    before, after = power - power.shift(1).over(line), power - power.shift(-1).over(line)
    lone = (before * after > 0) & (pl.min_horizontal(before.abs(), after.abs()) > PEAK)
    share = lone.fill_null(value=False).mean().alias("share")
    found = measured.with_columns(table_name(table)).group_by("table").agg(share)
    return [
        Note(
            "two_modes",
            name,
            f"the power of {share:.1%} of the rows departs from both neighbours along {along} by over 30 %: "
            "measured in two ways, it seems",
        )
        for name, share in found.filter(pl.col("share") > SHARE).sort("table").iter_rows()
    ]
