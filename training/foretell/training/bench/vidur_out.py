"""Protocol `vidur-out`: the projections of transformer layers, on models and devices left out whole.

`model` leaves out one language model after the other: its weight matrices are new unless another model has
the same ones. `device` leaves out one device after the other, of which nothing is known then but its
published figures. vidur's own forest, one for each model and device, can answer neither.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.sources.vidur import MLP_FILE, Vidur
from foretell.predictors.base import Prediction
from foretell.predictors.options import TableOptions
from foretell.training.bench.holdout import PRODUCT, SEED, answers, grouped
from foretell.training.bench.report import Group, Report, report
from foretell.training.splits import Split
from foretell.training.targets import Target, find

TARGET: Final = "gemm.latency"
OUT: Final = ("model", "device")
ENOUGH: Final = 6_000
"""Rows of a device that are learnt from, drawn at random: the profiles step through the tokens so finely that
five times as many gain 0.2 points of error."""


def run(data: Path) -> Report:
    """Fit and score without each model and without each device.

    Args:
        data: folder with ``vidur_mlp.parquet``.

    Raises:
        UnavailableError: no such file.
        InputError: a file in another layout.
    """
    rows, notes = _projections(data / MLP_FILE)
    target = find(TARGET)
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    for split in _splits(rows):
        asked = _asked(target, split, seconds)
        groups += grouped(split, asked, label=target.task.label, by=("operator", split.name))
        notes += _shared(split) if split.name == "model" else []
    for name in OUT:
        if rows[name].n_unique() < 2:
            notes.append(f"{name}: only {rows[name].unique().item()}, which cannot be left out")
    return report("vidur-out", groups, seconds, notes)


def _projections(path: Path) -> tuple[pl.DataFrame, list[str]]:
    """Matrix products with the columns `model` and `operator`, the projection; and how many were refused."""
    batch = Vidur(path).read()
    notes = [f"{batch.rejected.height} rows of {path.name} refused"] if batch.rejected.height else []
    origin = pl.col("origin").str.split("/")
    products = batch.rows.filter(pl.col("operator") == "gemm")
    return products.with_columns(model=origin.list.get(1), operator=origin.list.get(2)), notes


def _splits(rows: pl.DataFrame) -> Iterator[Split]:
    """One split for each value of each of `OUT`, where something stays to learn from."""
    for name in OUT:
        values = rows[name].unique().sort()
        for value in values if len(values) > 1 else ():
            out = pl.col(name) == value
            yield Split(name, rows.filter(~out), rows.filter(out))


def _asked(target: Target, split: Split, seconds: dict[str, float]) -> dict[str, Prediction]:
    """Answers of the product and of each baseline; a device left out has no table that could answer."""
    known = split.name != "device"
    learnt = replace(split, train=_thinned(split.train))
    return {
        family: answers(
            target,
            learnt,
            TableOptions(family, groups=target.splits["site"], generalist=not known, measured=known),
            seconds if family == PRODUCT else None,
        )
        for family in (PRODUCT, *target.baselines)
    }


def _thinned(rows: pl.DataFrame) -> pl.DataFrame:
    """At most `ENOUGH` rows of each device."""
    devices = rows.partition_by("device", maintain_order=True)
    return pl.concat([part.sample(min(part.height, ENOUGH), seed=SEED) for part in devices])


def _shared(split: Split) -> list[str]:
    """How much of a model is known from others."""
    shape = ("device", "n", "k")
    seen = split.test.join(split.train, on=shape, how="semi").height / split.test.height
    name = split.test["model"][0]
    return [f"model {name}: {seen:.0%} of its rows have weight matrices that another model has too"]
