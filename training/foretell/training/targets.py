"""What can be predicted: a kind of row, a label, a unit, and how its rows may be split."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from foretell.datasets.kernel import table_of
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import own_fields
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
        family: the one that learns it best.
    """

    task: Task
    kind: str
    usable: pl.Expr
    tables: tuple[str, ...]
    splits: Mapping[str, tuple[str, ...]]
    split: str
    baselines: tuple[str, ...]
    family: str = "lightgbm"


def _latency(operator: str, split: str = "site", family: str = "lightgbm", **more: tuple[str, ...]) -> Target:
    """The latency of an operator; `more` are splits beside those by row and by site."""
    query = OPERATORS[operator]
    return Target(
        task=Task(f"{operator}.latency", "us", "latency_us", operator),
        kind="kernel",
        usable=(pl.col("operator") == operator) & (pl.col("status") == "ok"),
        tables=table_of(operator),
        splits={"row": tuple(own_fields(query)), "site": query.site, **more},
        split=split,
        baselines=("roofline", "forest"),
        family=family,
    )


def _drawn(operator: str, quantity: str, unit: str, label: str) -> Target:
    """The power or energy of an operator, where it was measured."""
    latency = _latency(operator)
    task = Task(f"{operator}.{quantity}", unit, label, f"{operator}-{quantity}")
    return replace(latency, task=task, usable=latency.usable & pl.col(label).is_not_null())


_TARGETS: Final = (
    _latency("gemm", mrow=("m",)),
    _latency("bmm", mrow=("m",)),
    _latency("attention", family="blend", heads=("heads", "kv_heads"), tokens=("new_tokens", "past_tokens")),
    _latency("moe", tokens=("tokens",)),
    _latency("layernorm"),
    _latency("softmax"),
    _latency("elementwise"),
    _latency("convolution"),
    # Machines hold 2, 4 or 8 GPUs: too few groups to hold some out.
    _latency("collective", split="row", message=("message_bytes",)),
    _drawn("gemm", "power", "W", "power_w"),
    _drawn("gemm", "energy", "mJ", "energy_mj"),
    _drawn("attention", "power", "W", "power_w"),
    _drawn("attention", "energy", "mJ", "energy_mj"),
)
TARGETS: Final = {target.task.target: target for target in _TARGETS}


def find(target: str) -> Target:
    """The target of that name.

    Raises:
        InputError: there is none.
    """
    if target not in TARGETS:
        raise InputError("target", target, one_of(TARGETS))
    return TARGETS[target]
