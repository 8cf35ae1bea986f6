"""Samples of the journal as rows of the store, and back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from foretell.datasets.store import Store
from foretell.features.request import COLUMN, STATE
from foretell.serving.llmd.journal import Record, read_segment

ORIGIN: Final = "llm-d"
ROLES: Final = ("", "prefill", "decode")
COUNTS: Final = (
    "input_tokens", "generated_tokens", "encoder_tokens", "waiting", "running", "prefill_tokens",
    "decode_tokens",
)  # fmt: skip
SHARES: Final = ("prefix_hit", "kv_fraction")
MAX_COUNT: Final = 2.0**62
RECALLED: Final = 100_000
"""Latest samples that are read back at a restart: several windows of them."""


def to_store(segment: Path, store: Store) -> int:
    """Move a closed segment into the store, again after an interruption; says how many rows it held."""
    records = list(read_segment(segment))
    rows = 0
    if records:
        frame = pl.concat([_frame(record) for record in records])
        kept = store.append("request", frame, once=True)
        rows = kept.accepted + kept.rejected
    segment.unlink()
    return rows


def from_store(store: Store, since_s: float) -> list[Record]:
    """The latest samples of each pool, oldest first, from the time `since_s` on."""
    since = datetime.fromtimestamp(since_s, UTC)
    rows = (
        store.scan("request")
        .filter((pl.col("origin") == ORIGIN) & (pl.col("recorded_at") >= since))
        .sort("recorded_at", maintain_order=True)
        .tail(RECALLED)
        .collect()
    )
    return [
        _record(str(pool), part)
        for (pool,), part in rows.partition_by("pool", as_dict=True, maintain_order=True).items()
    ]


def _frame(record: Record) -> pl.DataFrame:
    state = record.samples
    ttft_s, tpot_s, timestamp_s = state[:, len(STATE) :].T
    counts = {name: np.minimum(state[:, COLUMN[name]], MAX_COUNT).astype(np.int64) for name in COUNTS}
    shares = {name: state[:, COLUMN[name]] for name in SHARES}
    return pl.DataFrame(
        {
            "pool": [record.pool] * len(state),
            "recorded_at": pl.Series((timestamp_s * 1e6).astype(np.int64)).cast(pl.Datetime("us", "UTC")),
            "role": [ROLES[int(role)] for role in state[:, COLUMN["role"]]],
            **counts,
            **shares,
            "ttft_ms": pl.Series(ttft_s * 1e3).fill_nan(None),
            "tpot_ms": pl.Series(tpot_s * 1e3).fill_nan(None),
            "origin": [ORIGIN] * len(state),
        }
    )


def _record(pool: str, rows: pl.DataFrame) -> Record:
    columns = {name: rows[name].cast(pl.Float64).fill_null(0.0).to_numpy() for name in (*COUNTS, *SHARES)}
    columns["decoding"] = columns["running"]
    columns["role"] = np.array([float(ROLES.index(role)) for role in rows["role"]])
    times = [rows[name].fill_null(float("nan")).to_numpy() / 1e3 for name in ("ttft_ms", "tpot_ms")]
    timestamp_s = rows["recorded_at"].dt.timestamp("us").to_numpy() / 1e6
    return Record(pool, np.column_stack([*(columns[name] for name in STATE), *times, timestamp_s]))
