"""What protocols that hold rows out share: what can be learnt, who is asked, how answers are scored."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from foretell import predictors
from foretell.datasets.device import device
from foretell.errors import InputError
from foretell.features.base import Array
from foretell.predictors.base import Prediction
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import MIN_TABLE_ROWS
from foretell.training.bench.report import Group, Scores
from foretell.training.metrics import point_scores, scores
from foretell.training.recipe import part
from foretell.training.splits import Split
from foretell.training.targets import Target

PRODUCT: Final = "lightgbm"
"""Name of the product among those who are asked, and the family that it is for most targets."""
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Peer:
    """Another system, whose predictions stand in a column of the held-out rows.

    Attributes:
        name: of the system.
        column: its predictions, in the unit of the label.
        partial: whether it may leave rows unanswered (null or NaN); it is then judged on the others, with
            the product's error on the same rows as `product_mape`, and the share `answered`, percent.
    """

    name: str
    column: str
    partial: bool = False


def read_published(path: Path, columns: frozenset[str]) -> pl.DataFrame:
    """A Parquet file of exactly these columns; categories come as text.

    Raises:
        InputError: a column that is missing or unknown, or no Parquet at all.
    """
    try:
        rows = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error
    for name in sorted({*rows.columns} ^ columns):
        found = "this column" if name in rows.columns else "no such column"
        raise InputError(f"{path.name}: {name}", found, f"the columns {', '.join(sorted(columns))}")
    return rows.with_columns(pl.col(pl.Categorical).cast(pl.String))


def device_names(systems: pl.Series) -> pl.Series:
    """Published names of systems as foretell's names of devices.

    Raises:
        InputError: a system that is no described device.
    """
    names = {system: device(system).name for system in systems.unique()}
    return systems.replace_strict(names, return_dtype=pl.String).alias("device")


def splits_of(rows: pl.DataFrame, held_out: pl.DataFrame, key: Sequence[str]) -> Iterator[Split]:
    """One split for each value of the column `split` in `held_out`: those rows, and all others.

    Args:
        rows: everything measured.
        held_out: rows to be judged on, with their own labels.
        key: columns that name a row in both; what was measured on a held-out row is never learnt from.
    """
    for (name,), test in held_out.partition_by("split", as_dict=True, maintain_order=True).items():
        yield Split(str(name), rows.join(test, on=key, how="anti", nulls_equal=True), test)


def learnable(split: Split, tables: Sequence[str]) -> tuple[Split, list[str]]:
    """The rows of tables that have enough of them on the training side, and a note on each other table.

    Tables of which nothing is held out are not learnt from either.
    """
    enough = split.train.group_by(tables).len().filter(pl.col("len") >= MIN_TABLE_ROWS)
    train = split.train.join(split.test, on=tables, how="semi")
    test = split.test.join(enough, on=tables, how="semi", maintain_order="left")
    missing = split.test.join(enough, on=tables, how="anti").select(pl.concat_str(tables, separator="/"))
    notes = [
        f"{split.name}: {name} has too few rows to learn from"
        for name in missing.to_series().unique().sort().to_list()
    ]
    return replace(split, train=train, test=test), notes


def answers(
    target: Target, split: Split, options: TableOptions, seconds: dict[str, float] | None = None
) -> Prediction:
    """What a family that learnt from the training side says of the held-out rows.

    Args:
        target: what is predicted.
        split: both sides.
        options: the family, and what its calibration leaves out at once.
        seconds: its times to `fit` and to `predict` are added there.
    """
    start = time.perf_counter()
    predictor = predictors.build(target.task, options).fit(split.train, seed=SEED)
    fitted = time.perf_counter()
    asked = [name for name in predictor.query.__struct_fields__ if name in split.test.columns]
    prediction = predictor.predict(split.test.select(asked))
    if seconds is not None:
        seconds["fit"] += fitted - start
        seconds["predict"] += time.perf_counter() - fitted
    return prediction


def answers_of_all(
    target: Target, split: Split, groups: tuple[str, ...], seconds: dict[str, float]
) -> dict[str, Prediction]:
    """Answers of the product and of each baseline by name, calibrated on held-out `groups`.

    Each table is learnt from its own rows only; the product's times are added to `seconds`.
    """
    options = TableOptions(target.family, groups=groups, generalist=False)
    product = answers(target, split, options, seconds)
    baselines = {name: answers(target, split, replace(options, family=name)) for name in target.baselines}
    return {PRODUCT: product} | baselines


def grouped(
    split: Split,
    predictions: Mapping[str, Prediction],
    *,
    label: str,
    by: Sequence[str],
    peer: Peer | None = None,
) -> list[Group]:
    """Figures of all who were asked, on each group of held-out rows.

    Args:
        split: whose held-out rows were asked about.
        predictions: of the product, under `PRODUCT`, and of the baselines.
        label: column of what was measured.
        by: columns that tell the groups apart; the split's name is put before them.
        peer: judged too where its column is there.
    """
    groups = []
    index = split.test.select(by).with_row_index("row")
    for values, rows in index.partition_by(by, as_dict=True, maintain_order=True).items():
        numbers = rows["row"].to_numpy()
        name = {"split": split.name} | dict(zip(by, map(str, values), strict=True))
        parts = {family: part(answer, numbers) for family, answer in predictions.items()}
        groups.append(_group(name, split.test[numbers], parts, label, peer))
    return groups


def _group(
    name: dict[str, str],
    test: pl.DataFrame,
    predictions: Mapping[str, Prediction],
    label: str,
    peer: Peer | None,
) -> Group:
    actual = test[label].to_numpy()
    scored = {family: scores(answer, actual) for family, answer in predictions.items()}
    peers = _peers(peer, test, actual, predictions[PRODUCT].at(0.5)) if peer else {}
    return Group(name, test.height, scored.pop(PRODUCT), scored, peers)


def _peers(peer: Peer, test: pl.DataFrame, actual: Array, product: Array) -> dict[str, Scores]:
    """Errors of a peer, by its name; none where it answers nothing."""
    if peer.column not in test.columns:
        return {}
    predicted = test[peer.column].to_numpy()
    if not peer.partial:
        return {peer.name: point_scores(predicted, actual)}
    answered = ~np.isnan(predicted)
    if not answered.any():
        return {}
    same_rows = {
        "product_mape": point_scores(product[answered], actual[answered])["mape"],
        "answered": float(answered.mean() * 100.0),
    }
    return {peer.name: point_scores(predicted[answered], actual[answered]) | same_rows}
