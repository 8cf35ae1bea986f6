"""Protocol `gemm-holdout`: matrix products of known tables, on shapes held out three ways.

`row` holds out single shapes, `site` whole weight matrices (n, k), `mrow` whole values of m. The peer is
NVIDIA aiconfigurator's own engine on the same rows, where its predictions lie beside the data. Each table is
learnt from its own rows only, as the peer does: no other backend's measurement of a held-out shape helps.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.kernel import TABLE
from foretell.datasets.sources.aic_forms import SHAPE
from foretell.datasets.sources.aiconfigurator import ONE_FILE, Aiconfigurator
from foretell.training.bench.holdout import (
    SEED,
    Peer,
    answers_of_all,
    device_names,
    grouped,
    learnable,
    read_published,
    splits_of,
)
from foretell.training.bench.report import Group, Report, report
from foretell.training.splits import Split, hold_out
from foretell.training.targets import find

TARGET: Final = "gemm.latency"
PEER_FILE: Final = "peer_aic_gemm_holdout.parquet"
PEER: Final = Peer("aiconfigurator", "peer_us")
KEY: Final = (*TABLE, *SHAPE)
PEER_COLUMNS: Final = frozenset(
    {"system", "gemm_dtype", "backend", "backend_version", *SHAPE, "latency_ms", "aic_pred_ms", "split"}
)


def run(data: Path) -> Report:
    """Fit and score every table of every split.

    Args:
        data: folder with ``aic_gemm.parquet`` and, for the peer's rows, `PEER_FILE`.

    Raises:
        UnavailableError: no tables there.
        InputError: a file in another layout.
    """
    batch = Aiconfigurator(data / ONE_FILE).read()
    notes = [f"{batch.rejected.height} rows of {ONE_FILE} refused"] if batch.rejected.height else []
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    target = find(TARGET)
    for split in _splits(batch.rows, data / PEER_FILE):
        known, missing = learnable(split, TABLE)
        notes += missing
        if not known.test.is_empty():
            asked = answers_of_all(target, known, target.splits.get(split.name, SHAPE), seconds)
            groups += grouped(known, asked, label=target.task.label, by=TABLE, peer=PEER)
    return report("gemm-holdout", groups, seconds, notes)


def _splits(rows: pl.DataFrame, peer_file: Path) -> Iterator[Split]:
    """The peer's held-out rows where there are any, else a fifth of the groups."""
    if peer_file.is_file():
        yield from splits_of(rows, read_peer(peer_file), KEY)
        return
    for name, columns in find(TARGET).splits.items():
        yield hold_out(rows, name, columns, seed=SEED)


def read_peer(path: Path) -> pl.DataFrame:
    """Held-out rows with the peer's prediction for each, in columns `KEY`, `split`, `latency_us`, `peer_us`.

    Raises:
        InputError: a column that is missing or unknown, a system that is no device, or no Parquet at all.
    """
    peer = read_published(path, PEER_COLUMNS)
    return peer.select(
        device_names(peer["system"]),
        pl.col("gemm_dtype").alias("dtype"),
        pl.col("backend", "backend_version", "split"),
        pl.col(SHAPE).cast(pl.Int64),
        (pl.col("latency_ms").cast(pl.Float64) * 1000).alias("latency_us"),
        (pl.col("aic_pred_ms").cast(pl.Float64) * 1000).alias(PEER.column),
    )
