"""Protocol `neusight-unseen`: NeuSight's fp32 operators on GPUs that the paper did not train on.

Learnt are its training rows, on whatever GPUs they were measured; scored are its test rows of all other GPUs.
The peer is NeuSight's model, retrained on the same rows, where its predictions lie beside the data: with the
tiles looked up as it would for a new GPU, and with those that ran.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import own_fields
from foretell.datasets.sources.neusight import MEANINGS, Neusight
from foretell.errors import InputError
from foretell.training.bench.holdout import device_names, read_published
from foretell.training.bench.report import Group, Report, Scores, report
from foretell.training.bench.unseen import Asked
from foretell.training.metrics import point_scores
from foretell.training.targets import find

PEER_FILE: Final = "peer_neusight_retrained_test.parquet"
PEERS: Final = {
    "neusight": "neusight_pred_ms_lookup_tile",
    "neusight, tiles known": "neusight_pred_ms_oracle_tile",
}
PEER_COLUMNS: Final = frozenset(
    {"op", "device", "B", "M", "N", "K", "H", "latency_ms", "op_model", *PEERS.values()}
)


def run(data: Path) -> Report:
    """Learn each operator from the training rows, score the other GPUs.

    Args:
        data: folder with ``neusight_ops.parquet`` or NeuSight's own files and, for the peer, `PEER_FILE`.

    Raises:
        UnavailableError: no operators there.
        InputError: a file in another layout, or no GPU that was not trained on.
    """
    rows = Neusight(data).read().rows.filter(status="ok")
    trained = pl.col("origin").str.ends_with("/train")
    known = rows.filter(trained)["device"].unique()
    train, test = rows.filter(trained), rows.filter(~trained & ~pl.col("device").is_in(known.to_list()))
    if train.is_empty() or test.is_empty():
        raise InputError("rows", f"{train.height} to learn, {test.height} to score", "some of both")
    peer_file = data / PEER_FILE
    peer = _read_peer(peer_file) if peer_file.is_file() else {}
    seconds = {"fit": 0.0, "predict": 0.0}
    groups = [
        group
        for operator in test["operator"].unique().sort()
        for group in _operator(operator, train, test, peer.get(operator), seconds)
    ]
    return report("neusight-unseen", groups, seconds, [f"learnt on {', '.join(known.sort())}"])


def _operator(
    operator: str,
    train: pl.DataFrame,
    test: pl.DataFrame,
    peer: pl.DataFrame | None,
    seconds: dict[str, float],
) -> Iterator[Group]:
    """Figures of one operator on each GPU."""
    target = find(f"{operator}.latency")
    train, test = train.filter(operator=operator), test.filter(operator=operator)
    asked = Asked.learnt(target, train, seconds)
    for (device,), rows in test.partition_by("device", as_dict=True, maintain_order=True).items():
        name = {"operator": operator, "device": str(device)}
        none = [np.empty(0, dtype=np.intp)]
        group = asked.group(name, rows, none)
        peers = _peers(rows, peer, ["device", *own_fields(OPERATORS[operator])])
        yield Group(group.group, group.n, group.product, group.baselines, peers)


def _peers(rows: pl.DataFrame, peer: pl.DataFrame | None, key: list[str]) -> dict[str, Scores]:
    """Errors of the peer on the rows that it answered."""
    if peer is None:
        return {}
    both = rows.select(*key, "latency_us").join(peer, on=key, how="inner")
    if both.is_empty():
        return {}
    actual = both["latency_us"].to_numpy()
    return {name: point_scores(both[name].to_numpy(), actual) for name in PEERS}


def _read_peer(path: Path) -> dict[str, pl.DataFrame]:
    """Operator to the peer's predictions in µs, columns `PEERS`, by device and the operator's fields."""
    published = read_published(path, PEER_COLUMNS)
    published = published.with_columns(
        pl.col("B", "M", "N", "K", "H").cast(pl.Int64), device_names(published["device"])
    )
    found: dict[str, list[pl.DataFrame]] = {}
    for (name,), rows in published.partition_by("op", as_dict=True).items():
        meaning = MEANINGS[str(name)]
        predicted = {peer: pl.col(column).cast(pl.Float64) * 1000 for peer, column in PEERS.items()}
        columns = rows.select("device", **meaning.columns, **predicted)
        found.setdefault(meaning.operator, []).append(columns)
    return {
        operator: pl.concat(frames).unique(["device", *own_fields(OPERATORS[operator])], maintain_order=True)
        for operator, frames in found.items()
    }
