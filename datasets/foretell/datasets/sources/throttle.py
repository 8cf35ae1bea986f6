"""Find devices that slow down under load: the larger the product, the further from their peak."""

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from foretell.datasets.device import DeviceFigures
from foretell.datasets.sources.base import Note
from foretell.datasets.sources.copies import table_name

LARGE: Final = 0.9
"""Quantile of the operations from which on a product is large."""
BEST: Final = 0.95
SUSTAINED: Final = 0.5
"""Least share of its best rate that a healthy device sustains on large products. In aiconfigurator's GEMM
tables all sustain 85 % and more; the P4 of NeuSight's training rows 31 %, at 15 % of its peak."""
OF_OTHERS: Final = 0.5
"""Likewise of what other devices sustain, each relative to its peak."""
MIN_ROWS: Final = 100


def throttled(rows: pl.DataFrame, table: Sequence[str], devices: Mapping[str, DeviceFigures]) -> list[Note]:
    """A note on each table whose large products are much slower than its smaller ones and than on others.

    Args:
        rows: products with `device`, `dtype`, `operations` and `latency_us`.
        table: columns that name a table.
        devices: figures by name.
    """
    peaks = {
        (name, dtype): devices[name].peak_flops(dtype)
        for name, dtype in rows.select("device", "dtype").unique().iter_rows()
    }
    rate = pl.col("operations") / pl.col("latency_us") * 1e6
    large = pl.col("operations") >= pl.col("operations").quantile(LARGE)
    found = (
        rows.filter(pl.col("latency_us") > 0)
        .group_by("device", "dtype", table_name(table))
        .agg(
            pl.len().alias("rows"),
            rate.filter(large).median().alias("large"),
            rate.quantile(BEST).alias("best"),
        )
        .filter(pl.col("rows") >= MIN_ROWS)
        .with_columns(sustained=pl.col("large") / pl.col("best"))
        .sort("table")
    )
    used = [row["large"] / peaks[row["device"], row["dtype"]] for row in found.iter_rows(named=True)]
    found = found.with_columns(used=pl.Series(used, dtype=pl.Float64))
    return [
        Note("throttled", row["table"], _evidence(row["sustained"], row["used"], others))
        for row in found.filter(pl.col("sustained") < SUSTAINED).iter_rows(named=True)
        if row["used"] < OF_OTHERS * (others := _others(found, row["device"]))
    ]


def _others(found: pl.DataFrame, device: str) -> float:
    """Share of their peak that other devices sustain in the median; all of it where there are no others."""
    median = found.filter(pl.col("device") != device)["used"].median()
    return float(median) if isinstance(median, float) else 1.0


def _evidence(sustained: float, used: float, others: float) -> str:
    return (
        f"the largest products run at {used:.0%} of the peak and {sustained:.0%} of this table's best rate, "
        f"where other devices sustain {others:.0%} of their peak"
    )
