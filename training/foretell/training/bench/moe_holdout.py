"""Protocol `moe-holdout`: mixtures of experts of known tables, whole models held out.

A fifth of the combinations of experts, top-k, hidden and inner size is held out in all tables at once, as a
new model would come. Beside the baselines that learn stands the nearest neighbour: the time of the most
similar measured shape of the same table.
"""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from foretell.datasets.kernel import table_of
from foretell.datasets.operators.fields import numbers_of
from foretell.datasets.operators.moe import MoeQuery
from foretell.datasets.sources.aiconfigurator import Aiconfigurator
from foretell.features.base import Array
from foretell.training.bench.holdout import SEED, answers_of_all, grouped, learnable
from foretell.training.bench.report import Group, Report, report
from foretell.training.metrics import point_scores
from foretell.training.splits import Split, hold_out
from foretell.training.targets import find

TARGET: Final = "moe.latency"
FILE: Final = "aic_moe_vllm.parquet"
TABLES: Final = table_of("moe")
SHAPE: Final = numbers_of(MoeQuery)
NEAREST: Final = "nearest"


def run(data: Path) -> Report:
    """Fit and score every table.

    Args:
        data: folder with `FILE`.

    Raises:
        UnavailableError: no such file.
        InputError: a file in another layout, or so few combinations that none can be held out.
    """
    batch = Aiconfigurator(data / FILE).read()
    target = find(TARGET)
    split = hold_out(batch.rows, target.split, target.splits[target.split], seed=SEED)
    known, notes = learnable(split, TABLES)
    notes += [f"{batch.rejected.height} rows of {FILE} refused"] if batch.rejected.height else []
    seconds = {"fit": 0.0, "predict": 0.0}
    asked = answers_of_all(target, known, target.splits[target.split], seconds)
    groups = grouped(known, asked, label=target.task.label, by=TABLES)
    return report("moe-holdout", _beside_nearest(groups, known, target.task.label), seconds, notes)


def _beside_nearest(groups: list[Group], split: Split, label: str) -> list[Group]:
    """The groups with one more baseline."""
    tables = split.test.partition_by(TABLES, maintain_order=True)
    for group, test in zip(groups, tables, strict=True):
        measured = split.train.join(test.head(1), on=TABLES, how="semi")
        predicted = nearest(measured, test.select(SHAPE), label)
        group.baselines[NEAREST] = point_scores(predicted, test[label].to_numpy())
    return groups


def nearest(measured: pl.DataFrame, asked: pl.DataFrame, label: str) -> Array:
    """The label of the measured row whose shape is nearest: fewest octaves away over all dimensions.

    Args:
        measured: rows of one table, with their label.
        asked: shapes, in columns `SHAPE`.
        label: column of what is predicted.
    """
    from sklearn.neighbors import KNeighborsRegressor  # noqa: PLC0415  (heavy, and only a baseline)

    neighbours = KNeighborsRegressor(n_neighbors=1)
    neighbours.fit(_octaves(measured), measured[label].to_numpy())
    return np.asarray(neighbours.predict(_octaves(asked)))


def _octaves(rows: pl.DataFrame) -> Array:
    return np.asarray(np.log2(rows.select(SHAPE).to_numpy().astype(np.float64)))
