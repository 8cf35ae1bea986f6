"""Small doubles of the published files, in their layout, of rows that obey physics."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from foretell.training.splits import hold_out
from foretell.training.targets import TARGETS

SPLITS = TARGETS["gemm.latency"].splits
SYSTEMS = {"h100": "h100_sxm", "l40s": "l40s"}
"""Devices, and what their files call them."""
SIZES = (1, 2, 3, 5, 8, 13, 21, 48, 64, 96, 128, 200, 256, 512, 1024, 2048)
NARROW = {"m": pl.Int32, "n": pl.Int32, "k": pl.Int32}
TEXT = dict.fromkeys(("gemm_dtype", "system", "backend", "backend_version"), pl.Categorical)


@dataclass(frozen=True)
class Published:
    """A folder of the two files.

    Attributes:
        folder: where they lie.
        rows: what was measured, in published columns but with `latency` in double precision.
    """

    folder: Path
    rows: pl.DataFrame

    def write(self, rows=None):
        """``aic_gemm.parquet`` of `rows`, or of all."""
        table = self.rows if rows is None else rows
        narrow = NARROW | TEXT | {"latency": pl.Float32, "kernel_source": pl.Categorical}
        table.cast(narrow).write_parquet(self.folder / "aic_gemm.parquet")
        return self

    def write_peer(self, held_out):
        """`held_out`, split by split, with what a peer that is always 10 % too slow says of it."""
        peer = pl.concat([rows.with_columns(split=pl.lit(name)) for name, rows in held_out.items()]).drop(
            "kernel_source"
        )
        peer = peer.rename({"latency": "latency_ms"}).with_columns(aic_pred_ms=pl.col("latency_ms") * 1.1)
        narrow = (
            NARROW | TEXT | {"latency_ms": pl.Float32, "aic_pred_ms": pl.Float32, "split": pl.Categorical}
        )
        peer.cast(narrow).write_parquet(self.folder / "peer_aic_gemm_holdout.parquet")
        return self

    def held_out(self, *names):
        """Rows that the product's own splits would not hold out: another seed."""
        return {name: hold_out(self.rows, name, SPLITS[name], seed=7).test for name in names or SPLITS}


@pytest.fixture(scope="session")
def published_rows(make_kernel_rows):
    """Two tables of 400 rows, in the columns of ``aic_gemm.parquet``."""
    rows = make_kernel_rows(tuple(SYSTEMS), sites=25, sizes=SIZES)
    return rows.select(
        "m", "n", "k", "backend", "backend_version",
        gemm_dtype="dtype", latency=pl.col("latency_us") / 1000, kernel_source=pl.lit("vllm"),
        system=pl.col("device").replace(SYSTEMS),
    )  # fmt: skip


@pytest.fixture(scope="session")
def publish(tmp_path_factory, published_rows):
    """A new folder for each call; nothing is written yet."""
    return lambda: Published(tmp_path_factory.mktemp("published"), published_rows)
