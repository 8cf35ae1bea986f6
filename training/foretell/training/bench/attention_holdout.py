"""Protocol `attention-holdout`: attention of known tables, on shapes held out two ways.

`row` holds out single shapes, `heads` whole pairs of query and key-value heads. The phases context and
generation are told apart in every figure. The peer is NVIDIA aiconfigurator's own engine on the same rows,
where its predictions lie beside the data; it leaves some of them unanswered. Each table is learnt from its
own rows only, as the peer does: no other data type's measurement of a held-out shape helps.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.kernel import table_of
from foretell.datasets.operators.attention import AttentionQuery
from foretell.datasets.operators.fields import own_fields
from foretell.datasets.sources.aic_forms import attention_columns
from foretell.datasets.sources.aiconfigurator import Aiconfigurator
from foretell.datasets.sources.base import merged
from foretell.errors import UnavailableError
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

TARGET: Final = "attention.latency"
FILES: Final = ("aic_ctx_attn_trtllm.parquet", "aic_gen_attn_trtllm.parquet")
PEER_FILE: Final = "peer_aic_attn_holdout.parquet"
PEER: Final = Peer("aiconfigurator", "peer_us", partial=True)
TABLES: Final = table_of("attention")
BY: Final = ("phase", *(name for name in TABLES if name != "phase"))
KEY: Final = tuple(dict.fromkeys((*TABLES, *own_fields(AttentionQuery))))
SPLITS: Final = ("row", "heads")
TOTALS_BY: Final = (("phase",), ("phase", "split"), ("phase", "device"), ("split",))
PUBLISHED: Final = frozenset(
    {
        "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size",
        "attn_dtype", "kv_cache_dtype", "system", "backend", "backend_version",
    }
)  # fmt: skip
PEER_COLUMNS: Final = PUBLISHED | {"phase", "split", "latency_ms", "aic_pred_ms"}


def run(data: Path) -> Report:
    """Fit and score every table of every split.

    Args:
        data: folder with `FILES`, or one of them, and, for the peer's rows, `PEER_FILE`.

    Raises:
        UnavailableError: no tables there.
        InputError: a file in another layout.
    """
    rows, notes = _measured(data)
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    target = find(TARGET)
    for split in _splits(rows, data / PEER_FILE):
        known, missing = learnable(split, TABLES)
        notes += missing
        if not known.test.is_empty():
            asked = answers_of_all(target, known, target.splits[_calibrated(split.name)], seconds)
            groups += grouped(known, asked, label=target.task.label, by=BY, peer=PEER)
    return report("attention-holdout", groups, seconds, notes, totals_by=TOTALS_BY)


def _measured(data: Path) -> tuple[pl.DataFrame, list[str]]:
    """The rows of both phases, and how many were refused."""
    paths = [data / name for name in FILES if (data / name).is_file()]
    if not paths:
        raise UnavailableError(f"{data} holds neither {' nor '.join(FILES)}")
    batch = merged(part for path in paths for part in Aiconfigurator(path).batches())
    refused = [f"{batch.rejected.height} rows of {', '.join(path.name for path in paths)} refused"]
    return batch.rows, refused if batch.rejected.height else []


def _splits(rows: pl.DataFrame, peer_file: Path) -> Iterator[Split]:
    """The peer's held-out rows where there are any, else a fifth of the groups."""
    if peer_file.is_file():
        yield from splits_of(rows, read_peer(peer_file), KEY)
        return
    for name in SPLITS:
        yield hold_out(rows, name, find(TARGET).splits[name], seed=SEED)


def _calibrated(split: str) -> str:
    """The split whose groups are left out to calibrate; shape by shape for one that has no name here."""
    return split if split in SPLITS else SPLITS[0]


def read_peer(path: Path) -> pl.DataFrame:
    """Held-out rows with the peer's prediction for each, in columns `KEY`, `split`, `latency_us`, `peer_us`.

    Raises:
        InputError: a column that is missing or unknown, a system that is no device, or no Parquet at all.
    """
    peer = read_published(path, PEER_COLUMNS)
    columns = attention_columns("context") | {"phase": pl.col("phase")}
    return peer.select(
        device_names(peer["system"]),
        *(column.alias(name) for name, column in columns.items()),
        pl.col("backend", "backend_version", "split"),
        (pl.col("latency_ms").cast(pl.Float64) * 1000).alias("latency_us"),
        (pl.col("aic_pred_ms").cast(pl.Float64) * 1000).alias(PEER.column),
    ).with_columns(pl.col(pl.Int32).cast(pl.Int64))
