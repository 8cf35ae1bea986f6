"""A registered model on held-out rows: by table, by size, its calibration and its worst cases."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from foretell.datasets.store import Store
from foretell.predictors.base import Prediction, Predictor
from foretell.training.metrics import ape_percent, scores
from foretell.training.recipe import SEED, part, usable_rows
from foretell.training.splits import hold_out
from foretell.training.targets import find

SIZES: Final = 6
WORST: Final = 8
CALIBRATION: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a model does on rows of groups that no training has seen.

    Attributes:
        rows: the held-out rows.
        prediction: for them, at the levels of `CALIBRATION`.
        actual: shape (rows,), the label.
        by_table: figures of each table of measurements.
        by_size: figures of rows of about the same label, smallest first.
        calibration: for each level the share of labels below that quantile.
        worst: the rows with the largest error.
    """

    rows: pl.DataFrame
    prediction: Prediction
    actual: "np.ndarray[Any, np.dtype[np.float64]]"
    by_table: list[Row]
    by_size: list[Row]
    calibration: list[Row]
    worst: list[Row]

    def tables(self) -> dict[str, list[Row]]:
        """The parts under titles."""
        return {
            "by table": self.by_table,
            "by size": self.by_size,
            "calibration: share of measurements below each quantile": self.calibration,
            "worst cases": self.worst,
        }


def evaluation(predictor: Predictor, store: Store) -> Evaluation:
    """Judge `predictor` on the held-out part of today's rows.

    Raises:
        InputError: no rows, too few to hold some out, or a device that the model cannot describe.
    """
    target = find(predictor.task.target)
    rows, _ = usable_rows(store, target)
    test = hold_out(rows, target.split, target.splits[target.split], seed=SEED).test
    query = predictor.query.__struct_fields__
    prediction = predictor.predict(test.select(query), CALIBRATION)
    actual = test[target.task.label].to_numpy()
    return Evaluation(
        test,
        prediction,
        actual,
        _by_table(prediction, actual, test, target.tables),
        _by_size(prediction, actual, target.task.unit),
        _calibration(prediction, actual),
        _worst(prediction, actual, test.select(query)),
    )


def _by_table(prediction: Prediction, actual: Any, test: pl.DataFrame, tables: tuple[str, ...]) -> list[Row]:
    index = test.select(tables).with_row_index("_row")
    return [
        dict(zip(tables, names, strict=True))
        | {"n": len(rows)}
        | scores(part(prediction, rows["_row"].to_numpy()), actual[rows["_row"].to_numpy()])
        for names, rows in sorted(index.partition_by(tables, as_dict=True).items())
    ]


def _by_size(prediction: Prediction, actual: Any, unit: str) -> list[Row]:
    order = np.argsort(actual, kind="stable")
    return [
        {f"from {unit}": float(actual[rows[0]]), f"to {unit}": float(actual[rows[-1]]), "n": len(rows)}
        | scores(part(prediction, rows), actual[rows])
        for rows in np.array_split(order, min(SIZES, len(order)))
    ]


def _calibration(prediction: Prediction, actual: Any) -> list[Row]:
    below = (actual[:, None] <= prediction.values).mean(axis=0)
    return [
        {"quantile": level, "share below": float(share)}
        for level, share in zip(prediction.levels, below, strict=True)
    ]


def _worst(prediction: Prediction, actual: Any, queries: pl.DataFrame) -> list[Row]:
    ape = ape_percent(prediction.at(0.5), actual)
    rows = np.argsort(ape, kind="stable")[::-1][:WORST]
    figures = pl.DataFrame(
        {"measured": actual[rows], "predicted": prediction.at(0.5)[rows], "error %": ape[rows]}
    )
    return queries[rows].hstack(figures).to_dicts()
