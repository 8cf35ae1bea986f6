"""The training recipe: rows, split, fit, judge beside the baselines, log, register, promote."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell import predictors
from foretell.datasets.device import DeviceFigures
from foretell.datasets.store import Store
from foretell.errors import ArtefactError, InputError, one_of
from foretell.features.fields import fields_of
from foretell.predictors.base import Prediction, Predictor
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import TablePredictor
from foretell.training.metrics import macro, scores
from foretell.training.plots import SUFFIXES, accuracy
from foretell.training.promotion import Promotion, promote_if_better
from foretell.training.splits import Split, hold_out
from foretell.training.targets import Target, find
from foretell.training.tracking import ModelVersion, log_run

SEED: Final = 0
SCORE: Final = "mape"
EXAMPLES: Final = 3
LOST: Final = Path(os.devnull)
"""Stands for a champion whose files are gone."""
CANNOT_LOAD: Final = 1e9
"""Score of a champion that cannot be loaded, and so answers nobody: any model beats it."""

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Training:
    """What a training gave.

    Attributes:
        version: the registered model.
        promotion: whether it is the champion now, and why.
        data_version: version of the store's rows.
        rows: rows learnt from.
        held_out: rows judged on.
        scores: figures by family, macro-averaged over tables: the model and the baselines.
        plot: picture of its accuracy.
    """

    version: ModelVersion
    promotion: Promotion
    data_version: str
    rows: int
    held_out: int
    scores: dict[str, Scores]
    plot: Path


def usable_rows(store: Store, target: Target) -> tuple[pl.DataFrame, str]:
    """Rows that carry the label of `target`, and their version, recorded for later.

    Raises:
        InputError: there are none.
    """
    version = store.record(target.kind)
    rows = store.scan(target.kind, version=version).filter(target.usable).collect()
    if rows.is_empty():
        raise InputError("rows", 0, f"measurements of a {target.kind}: `foretell collect` or `pull` some")
    return rows, version


def described_devices(store: Store) -> list[DeviceFigures]:
    """Devices that were described on this machine, the first description of each."""
    rows = store.scan("device").unique("name", keep="first", maintain_order=True).collect()
    return [DeviceFigures(**row) for row in rows.iter_rows(named=True)]


def train(
    name: str,
    store: Store,
    *,
    plot: Path,
    champion: Path | None = None,
    family: str | None = None,
    seed: int = SEED,
) -> Training:
    """Train, judge and register a model of one target.

    Args:
        name: of the target.
        store: where its rows are.
        champion: folder of the present champion's predictor, which the new one has to beat.
        plot: picture to write.
        family: of the model; null for the target's own.
        seed: of everything drawn but the split, which is the same for all.

    Raises:
        InputError: an unknown target or family, too few rows, or a picture of an unknown format.
    """
    target = find(name)
    if plot.suffix not in SUFFIXES:
        raise InputError("plot", str(plot), f"a name that ends in {one_of(SUFFIXES)}")
    rows, data_version = usable_rows(store, target)
    split = hold_out(rows, target.split, target.splits[target.split], seed=SEED)
    groups = target.splits[target.split]
    described = described_devices(store)

    family = family or target.family
    options = TableOptions(family, groups=groups)
    model = predictors.build(target.task, options, described).fit(split.train, seed=seed)
    prediction, figures = judge(model, split.test, target)

    scored = {family: figures}
    for baseline in target.baselines:
        options = TableOptions(baseline, groups=groups)
        fitted = predictors.build(target.task, options, described).fit(split.train, seed=seed)
        scored[baseline] = judge(fitted, split.test, target)[1]

    actual = split.test[target.task.label].to_numpy()
    labels = split.test.select(pl.concat_str(target.tables, separator="/")).to_series().to_list()
    accuracy(plot, prediction, actual, labels)
    version = _log(model, split, scored, plot=plot, data_version=data_version, seed=seed)
    promotion = promote_if_better(
        name, version.version, champion_score=_champion_score(champion, split.test, target)
    )
    return Training(version, promotion, data_version, split.train.height, split.test.height, scored, plot)


def judge(predictor: Predictor, test: pl.DataFrame, target: Target) -> tuple[Prediction, Scores]:
    """Predictions for held-out rows, and their figures averaged over tables."""
    prediction = predictor.predict(test.select(predictor.query.__struct_fields__))
    actual = test[target.task.label].to_numpy()
    tables = test.select(pl.struct(target.tables).rank("dense")).to_series().to_numpy()
    by_table = [
        scores(part(prediction, rows), actual[rows])
        for rows in (tables == table for table in np.unique(tables))
    ]
    return prediction, macro(by_table)


def part(prediction: Prediction, rows: npt.NDArray[Any]) -> Prediction:
    """Some rows of a prediction, by mask or index."""
    return replace(prediction, values=prediction.values[rows], outside=prediction.outside[rows])


def _champion_score(champion: Path | None, test: pl.DataFrame, target: Target) -> float | None:
    """The champion's score on these held-out rows, none of which it has learnt from; null without one."""
    if champion is None:
        return None
    try:
        return judge(predictors.load(champion), test, target)[1][SCORE]
    except ArtefactError:
        return CANNOT_LOAD
    except InputError:
        return None  # it knows other devices than the new one: a person has to choose


def _log(
    model: TablePredictor,
    split: Split,
    scored: dict[str, Scores],
    *,
    plot: Path,
    data_version: str,
    seed: int,
) -> ModelVersion:
    family = model.options.family
    baselines = {
        f"{name}.{figure}": value
        for name, figures in scored.items()
        if name != family
        for figure, value in figures.items()
    }
    example = split.test.select(model.query.__struct_fields__).head(EXAMPLES)
    optional = [name for name, field in fields_of(model.query).items() if not field.required]
    with tempfile.TemporaryDirectory() as folder:
        artefact = Path(folder) / "predictor"
        model.save(artefact)
        return log_run(
            model.task.target,
            artefact,
            example=example,
            params={
                "family": family,
                "seed": seed,
                "rows": split.train.height,
                "held_out": split.test.height,
            },
            metrics=scored[family] | baselines,
            plots=[plot],
            data_version=data_version,
            split=split.fingerprint(sorted(model.query.__struct_fields__)),
            commit=checkout_commit(),
            score=SCORE,
            optional=optional,
        )


def checkout_commit() -> str | None:
    """The commit of foretell's own checkout; null where it was installed from a wheel."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.strip() or None
