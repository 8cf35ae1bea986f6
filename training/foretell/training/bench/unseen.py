"""What protocols on hardware that nobody measured share: handfuls, and how answers are scored."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell import predictors
from foretell.features.base import Array
from foretell.predictors.base import Prediction
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import TablePredictor
from foretell.training.bench.holdout import PRODUCT, SEED
from foretell.training.bench.report import Group, Scores
from foretell.training.metrics import macro, point_scores, scores
from foretell.training.targets import Target

BASELINES: Final = ("roofline", "forest")
SCALED: Final = "roofline scaled"
"""The roofline times the factor that fits the handful best."""
BASELINE_ROWS: Final = 4_000
"""Rows that a baseline learns from: it has no use for more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The product and the baselines, learnt from the same devices.

    Attributes:
        target: what is predicted.
        product: the product.
        baselines: the others, by name.
        seconds: the product's times to ``fit``, which is also to adapt, and to ``predict`` are added there.
    """

    target: Target
    product: TablePredictor
    baselines: Mapping[str, TablePredictor]
    seconds: dict[str, float]

    @classmethod
    def learnt(cls, target: Target, train: pl.DataFrame, seconds: dict[str, float]) -> Self:
        """Everyone fitted to `train`."""
        start = time.perf_counter()
        product = _learnt(target, PRODUCT, train)
        seconds["fit"] += time.perf_counter() - start
        few = train.sample(min(BASELINE_ROWS, train.height), seed=SEED)
        return cls(target, product, {name: _learnt(target, name, few) for name in BASELINES}, seconds)

    def group(
        self, name: dict[str, str], test: pl.DataFrame, handfuls: Sequence[npt.NDArray[np.intp]]
    ) -> Group:
        """Figures on the rows of one device, without or with a handful of them measured.

        Args:
            name: of the group.
            test: rows of the device.
            handfuls: numbers of the rows that are given away before the others are judged; figures are
                averaged over handfuls. An empty one gives nothing away.
        """
        label, query = self.target.task.label, self.product.query
        asked = [column for column in query.__struct_fields__ if column in test.columns]
        questions, actual = test.select(asked), test[label].to_numpy()
        said = {family: baseline.predict(questions).at(0.5) for family, baseline in self.baselines.items()}
        figures: list[Scores] = []
        others: dict[str, list[Scores]] = {}
        for handful in handfuls:
            rest = np.setdiff1d(np.arange(test.height), handful)
            prediction = self._adapted(test[handful].select(*asked, label), questions[rest])
            figures.append(scores(prediction, actual[rest]))
            scaled = {}
            if len(handful):
                factor = np.median(actual[handful] / said["roofline"][handful])
                scaled = {SCALED: said["roofline"] * factor}
            for family, values in (said | scaled).items():
                others.setdefault(family, []).append(point_scores(values[rest], actual[rest]))
        means = {family: macro(each) for family, each in others.items()}
        return Group(name, test.height - len(handfuls[0]), macro(figures), means)

    def _adapted(self, few: pl.DataFrame, questions: pl.DataFrame) -> Prediction:
        """The product's answers once it knows a few rows, or none."""
        start = time.perf_counter()
        predictor = self.product.adapted(few) if few.height else self.product
        adapted = time.perf_counter()
        prediction = predictor.predict(questions)
        self.seconds["fit"] += adapted - start
        self.seconds["predict"] += time.perf_counter() - adapted
        return prediction


def _learnt(target: Target, family: str, train: pl.DataFrame) -> TablePredictor:
    options = TableOptions(family, groups=target.splits["site"], measured=False)
    return predictors.build(target.task, options).fit(train, seed=SEED)


def handful(test: pl.DataFrame, shape: Iterable[str], size: int, seed: int) -> npt.NDArray[np.intp]:
    """Numbers of `size` rows, spread over the shapes: each is drawn by its squared distance from those drawn.

    The distance is that of the logarithms of the columns `shape`, each scaled by its deviation (k-means++,
    Arthur and Vassilvitskii, SODA 2007).
    """
    generator = np.random.default_rng(seed)
    points = np.log(np.column_stack([test[name].to_numpy() for name in shape]) + 1.0)
    points = (points - points.mean(axis=0)) / np.maximum(points.std(axis=0), 1e-9)
    drawn: list[int] = []
    away: Array = np.ones(test.height)
    for _ in range(min(size, test.height)):
        drawn.append(int(generator.choice(test.height, p=away / away.sum())))
        apart = ((points - points[drawn[-1]]) ** 2).sum(axis=1)
        away = apart if len(drawn) == 1 else np.minimum(away, apart)
    return np.array(drawn, dtype=np.intp)
