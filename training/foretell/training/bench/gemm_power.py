"""Protocol `gemm-power`: power and energy per call of matrix products, whole weight matrices (n, k) held out.

The first figures of a group are those of power; those of energy begin with ``energy_``. Tables that mix two
modes of collection (the same shape at twice the power in the next row) are shown, and left out of the totals:
no model can know which mode a row was measured in. The peer is NVIDIA aiconfigurator's own engine, where its
predictions lie beside the data. Each table is learnt from its own rows only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.device import device
from foretell.datasets.kernel import TABLE
from foretell.datasets.sources.aic_forms import SHAPE
from foretell.datasets.sources.aiconfigurator import Aiconfigurator
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
from foretell.training.bench.report import Group, Report, Scores, report
from foretell.training.metrics import point_scores
from foretell.training.splits import Split, hold_out
from foretell.training.targets import find

FILE: Final = "aic_gemm_power.parquet"
PEER_FILE: Final = "peer_aic_gemm_power_holdout.parquet"
POWER: Final = Peer("aiconfigurator", "peer_w", partial=True)
ENERGY: Final = Peer("aiconfigurator", "peer_mj", partial=True)
TARGETS: Final = {"gemm.power": POWER, "gemm.energy": ENERGY}
SPLIT: Final = "site"
COUNTED: Final = "trtllm"
"""The backend whose tables were collected in one mode."""
KEY: Final = (*TABLE, *SHAPE)
PEER_COLUMNS: Final = frozenset(
    {
        "system", "gemm_dtype", "backend", "backend_version", *SHAPE, "latency_ms", "power_w",
        "aic_pred_ms", "aic_pred_w", "split",
    }
)  # fmt: skip


def run(data: Path) -> Report:
    """Fit and score power and energy of every table.

    Args:
        data: folder with `FILE` and, for the peer's rows, `PEER_FILE`.

    Raises:
        UnavailableError: no tables there.
        InputError: a file in another layout.
    """
    batch = Aiconfigurator(data / FILE).read()
    notes = [f"{batch.rejected.height} rows of {FILE} refused"] if batch.rejected.height else []
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    for split in _splits(batch.rows.drop_nulls("power_w"), data / PEER_FILE):
        known, missing = learnable(split, TABLE)
        notes += missing
        if not known.test.is_empty():
            groups += _groups(known, seconds)
    notes += [
        f"{'/'.join(group.group.values())} does not count: two modes of collection in one table"
        for group in groups
        if not group.counted
    ]
    return report("gemm-power", groups, seconds, notes, totals_by=(("split",), ("device",)))


def _splits(rows: pl.DataFrame, peer_file: Path) -> Iterator[Split]:
    """The sites that the peer's file holds out where there is one, else a fifth of them."""
    if not peer_file.is_file():
        yield hold_out(rows, SPLIT, find("gemm.power").splits[SPLIT], seed=SEED)
        return
    yield from splits_of(rows, read_peer(peer_file).filter(pl.col("split") == SPLIT), KEY)


def _groups(split: Split, seconds: dict[str, float]) -> list[Group]:
    """Figures of both targets by table, in one group each."""
    judged = [_judged(name, peer, split, seconds) for name, peer in TARGETS.items()]
    share = _constant_share(split)
    return [
        replace(
            power,
            product=power.product | _named_energy(energy.product),
            baselines=_merged(power.baselines, energy.baselines)
            | {"constant share of the limit": share[index]},
            peers=_merged(power.peers, energy.peers),
            counted=power.group["backend"] == COUNTED,
        )
        for index, (power, energy) in enumerate(zip(*judged, strict=True))
    ]


def _judged(name: str, peer: Peer, split: Split, seconds: dict[str, float]) -> list[Group]:
    target = find(name)
    asked = answers_of_all(target, split, target.splits[SPLIT], seconds)
    return grouped(split, asked, label=target.task.label, by=TABLE, peer=peer)


def _constant_share(split: Split) -> list[Scores]:
    """Errors of the median share of the device's limit in a table's training rows, in the order of groups."""
    limit_w = {name: device(name).power_limit_w for name in split.test["device"].unique()}
    share = pl.col("power_w") / pl.col("device").replace_strict(limit_w, return_dtype=pl.Float64)
    medians = split.train.group_by(TABLE).agg(share.median().alias("share"))
    test = split.test.join(medians, on=TABLE, how="left", maintain_order="left").with_columns(
        limit_w=pl.col("device").replace_strict(limit_w, return_dtype=pl.Float64)
    )
    return [
        point_scores((rows["share"] * rows["limit_w"]).to_numpy(), rows["power_w"].to_numpy())
        for rows in test.partition_by(TABLE, maintain_order=True)
    ]


def _named_energy(scored: Scores) -> Scores:
    return {f"energy_{name}": value for name, value in scored.items()}


def _merged(power: Mapping[str, Scores], energy: Mapping[str, Scores]) -> dict[str, Scores]:
    return {name: scored | _named_energy(energy[name]) for name, scored in power.items() if name in energy}


def read_peer(path: Path) -> pl.DataFrame:
    """Held-out rows with labels and the peer's predictions: `KEY`, `split`, power in W and energy in mJ.

    Raises:
        InputError: a column that is missing or unknown, a system that is no device, or no Parquet at all.
    """
    peer = read_published(path, PEER_COLUMNS)
    number = {
        name: pl.col(name).cast(pl.Float64) for name in ("latency_ms", "power_w", "aic_pred_ms", "aic_pred_w")
    }
    return peer.select(
        device_names(peer["system"]),
        pl.col("gemm_dtype").alias("dtype"),
        pl.col("backend", "backend_version", "split"),
        pl.col(SHAPE).cast(pl.Int64),
        number["power_w"],
        (number["power_w"] * number["latency_ms"]).alias("energy_mj"),
        number["aic_pred_w"].alias(POWER.column),
        (number["aic_pred_w"] * number["aic_pred_ms"]).alias(ENERGY.column),
    )
