"""What can be predicted: a kind of row, a label, a unit, and how its rows may be split."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from foretell.datasets.kernel import SITE, TABLE
from foretell.errors import InputError, one_of
from foretell.predictors.base import Task


@dataclass(frozen=True, slots=True)
class Target:
    """One target.

    Attributes:
        task: name, unit, label and encoder.
        kind: kind of its rows in the store.
        usable: which rows of the kind carry its label.
        tables: columns that name one table of measurements; scores are averaged over tables.
        splits: name to the columns that a split never tears apart.
        split: the split that decides on promotion: what new users bring.
        baselines: families that every training is compared with.
    """

    task: Task
    kind: str
    usable: pl.Expr
    tables: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    split: str
    baselines: tuple[str, ...]


SHAPE: Final = ("m", "n", "k")
TARGETS: Final = {
    "gemm.latency": Target(
        task=Task("gemm.latency", "us", "latency_us", "gemm"),
        kind="kernel",
        usable=(pl.col("operator") == "gemm") & (pl.col("status") == "ok"),
        tables=TABLE,
        splits={"row": SHAPE, "site": SITE, "mrow": ("m",)},
        split="site",
        baselines=("roofline", "forest"),
    ),
}


def find(target: str) -> Target:
    """The target of that name.

    Raises:
        InputError: there is none.
    """
    if target not in TARGETS:
        raise InputError("target", target, one_of(TARGETS))
    return TARGETS[target]
