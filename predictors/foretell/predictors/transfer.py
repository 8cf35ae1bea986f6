"""Time on a device that nobody measured: physics with a few numbers of the device, and what it leaves over.

One `Transfer` is for one data type of one operator. `Waves` says how long a row takes, a booster corrects
what it gets wrong alike on all devices, from features that mean the same on each: shares of the time, counts
of waves, fills of tiles. Both are judged on whole families of hardware left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from foretell.errors import ArtefactError
from foretell.features.base import Array
from foretell.features.physics import MACHINE_NAMES
from foretell.predictors.boosted import Boosted, BoostedOptions
from foretell.predictors.interval import GRID, NEGLIGIBLE, Interval, conformal_quantiles
from foretell.predictors.kinship import Expected, Origin, expected
from foretell.predictors.waves import EFFECTS, SHARED, Waves
from foretell.predictors.work import Work, work_of

MIN_FAMILIES: Final = 3
"""With fewer families of hardware, those that stay say nothing about the one that is left out."""
FORM: Final = 0.1
"""What the form of the model errs on a row, in logarithms, with all effects known."""
HANDFUL: Final = 16
"""Measurements of a family left out with which its interval after adaptation is judged."""
DRAWS: Final = 3
VOICES: Final = 0.75
"""Share of the families left out whose errors an interval covers as promised."""
JUDGED_WIDENING: Final = 0.1
MACHINE: Final = (*MACHINE_NAMES, "log_vector_rate")
OPTIONS: Final = BoostedOptions(trees=200, leaves=31, learning_rate=0.05, min_rows=40, bins=255)


_NORMAL: Final = np.array([NormalDist().inv_cdf(level) for level in GRID])
"""Multiples of the size where no family could be left out: the size is all there is to go by."""


class Sample(NamedTuple):
    """Measured rows of one data type.

    Attributes:
        features: shape (rows, features).
        floor: least time in µs, shape (rows,).
        label: measured µs, shape (rows,).
        tables: number of each row's table among `origins`, shape (rows,).
        origins: of the tables.
    """

    features: Array
    floor: Array
    label: Array
    tables: npt.NDArray[np.intp]
    origins: Sequence[Origin]

    def kins(self) -> npt.NDArray[Any]:
        """Family of the hardware of each row."""
        return np.array([known.kin for known in self.origins])[self.tables]

    def take(self, rows: npt.NDArray[Any]) -> "Sample":
        """Some of the rows, by number or by mask, with the tables that they come from."""
        numbers, tables = np.unique(self.tables[rows], return_inverse=True)
        origins = [self.origins[number] for number in numbers]
        return Sample(self.features[rows], self.floor[rows], self.label[rows], tables, origins)


class Known(NamedTuple):
    """What is known of the effects of one place.

    Attributes:
        effects: shape (effects,).
        covariance: of them, shape (effects, effects).
        adapted: whether measurements of the place itself told them.
    """

    effects: Array
    covariance: Array
    adapted: bool


class SavedTransfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the document of a saved predictor says of a `Transfer`; the fields are its own."""

    shared: tuple[float, ...]
    width: float
    effects: tuple[tuple[float, ...], ...]
    origins: tuple[Origin, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Transfer:
    """The model of one data type.

    Attributes:
        names: of the features.
        waves: what tables share.
        effects: of the tables that were measured, shape (tables, effects).
        origins: of the same tables.
        booster: learns what `waves` leaves over.
        lower: least value in training of each leading feature and of each figure of the devices.
        upper: greatest value.
        quantiles: of the residuals, as multiples of their size, at the levels of `GRID`: before and after
            adaptation, shape (2, levels); none with fewer than `MIN_FAMILIES`.
    """

    names: tuple[str, ...]
    waves: Waves
    effects: Array
    origins: Sequence[Origin]
    booster: Boosted
    lower: Array
    upper: Array
    quantiles: Array

    @classmethod
    def fit(cls, sample: Sample, names: tuple[str, ...], extent: int, seed: int) -> Self:
        """Learn from all rows; judge on each family left out.

        Args:
            sample: measured rows.
            names: of the features.
            extent: how many leading features span the range.
            seed: of everything drawn.
        """
        kins = sample.kins()
        families = np.unique(kins)
        quantiles = np.empty((0, len(GRID)))
        if len(families) >= MIN_FAMILIES:
            left_out = [
                _judged(
                    cls._fitted(sample.take(kins != kin), names, extent, seed), sample.take(kins == kin), seed
                )
                for kin in families
            ]
            quantiles = np.array([_pooled([one[step] for one in left_out]) for step in (0, 1)])
        fitted = cls._fitted(sample, names, extent, seed)
        return cls(
            names,
            fitted.waves,
            fitted.effects,
            fitted.origins,
            fitted.booster,
            fitted.lower,
            fitted.upper,
            quantiles,
        )

    @classmethod
    def _fitted(cls, sample: Sample, names: tuple[str, ...], extent: int, seed: int) -> Self:
        work = work_of(sample.features, names, sample.floor)
        log_label = np.log(sample.label)
        waves, effects = Waves.fit(work, log_label, sample.tables, _weights(sample))
        features, log_us = _regime(sample.features, names, work, waves, effects[sample.tables])
        # What is left over on one family alone says nothing of the next (docs/log.md): it stays uncorrected.
        rest = log_label - log_us if len(np.unique(sample.kins())) > 1 else np.zeros_like(log_us)
        booster = Boosted(OPTIONS).fit(features, rest, seed=seed)
        spanning = sample.features[:, _spanning(names, extent)]
        lower, upper = spanning.min(axis=0), spanning.max(axis=0)
        none = np.empty((0, len(GRID)))
        return cls(names, waves, effects, sample.origins, booster, lower, upper, none)

    def known(self, asked: Origin) -> Known:
        """What to expect of a place without any measurement of it."""
        centre, spread = expected(self.effects, self.origins, asked)
        return Known(centre, np.diag(spread**2), adapted=False)

    def adapted(self, features: Array, floor: Array, label: Array, asked: Origin) -> Known:
        """What a handful of measurements says of a place.

        Args:
            features: shape (rows, features).
            floor: shape (rows,).
            label: measured µs, shape (rows,).
            asked: where it was measured.
        """
        work = work_of(features, self.names, floor)
        prior: Expected = expected(self.effects, self.origins, asked)
        effects, covariance = prior.centre, np.diag(prior.spread**2)
        # What the booster corrects depends on the effects a little: once more with the better ones.
        for _ in range(2):
            regime, _ = _regime(features, self.names, work, self.waves, effects)
            rest = np.log(label) - self._correction(features, regime)
            effects, covariance = self.waves.adapted(work, rest, prior.centre, prior.spread)
        return Known(effects, covariance, adapted=True)

    def predict(self, features: Array, floor: Array, known: Known) -> tuple[Array, Array, Array]:
        """Logarithm of the µs, size of its error and octaves outside of what was seen, each (rows,)."""
        log_us, size = self.sized(features, floor, known)
        extent = len(self.lower) - _figures(self.names)
        seen = features[:, _spanning(self.names, extent)]
        beyond = np.maximum(np.maximum(self.lower - seen, seen - self.upper), 0.0)
        return log_us, size, beyond.max(axis=1)

    def widening(self) -> float:
        """Share of its own width by which the interval widens for each octave outside of what was seen.

        Little where families were left out, which lie outside of one another themselves; all of it where
        nothing was judged.
        """
        return JUDGED_WIDENING if len(self.quantiles) else 1.0

    def sized(self, features: Array, floor: Array, known: Known) -> tuple[Array, Array]:
        """Logarithm of the µs, and how far off its effects and its form may be, each (rows,)."""
        work = work_of(features, self.names, floor)
        choice = self.waves.chosen(work, known.effects)
        log_us = self.waves.log_us(work, known.effects, choice)
        regime, _ = _regime(features, self.names, work, self.waves, known.effects)
        slopes = self.waves.slopes(work, known.effects, choice, log_us)
        size = np.sqrt(FORM**2 + np.einsum("re,ef,rf->r", slopes, known.covariance, slopes))
        return log_us + self._correction(features, regime), size

    def _correction(self, features: Array, regime: Array) -> Array:
        """What the booster adds; an octave outside of the shapes that it has seen it has no say any more.

        Trees go on with what they learnt at the edge, and the physics knows better (docs/log.md).
        """
        if len({known.kin for known in self.origins}) == 1:
            return np.zeros(len(features))  # nothing says that another family leaves over the same
        extent = len(self.lower) - _figures(self.names)
        seen, lower, upper = features[:, :extent], self.lower[:extent], self.upper[:extent]
        octaves = np.maximum(lower - seen, seen - upper).max(axis=1)
        return np.asarray(self.booster.predict(regime) * np.clip(1.0 - octaves, 0.0, 1.0))

    def interval(self, known: Known) -> Interval:
        """Of the errors, as multiples of their size."""
        if not len(self.quantiles):
            return Interval(_NORMAL, None)
        return Interval(self.quantiles[int(known.adapted)], None)

    def save(self, stem: Path) -> SavedTransfer:
        """Write the booster; the rest is returned."""
        self.booster.save(stem)
        return SavedTransfer(
            shared=tuple(self.waves.shared.tolist()),
            width=self.waves.width,
            effects=tuple(map(tuple, self.effects.tolist())),
            origins=tuple(self.origins),
            lower=tuple(self.lower.tolist()),
            upper=tuple(self.upper.tolist()),
            quantiles=tuple(map(tuple, self.quantiles.tolist())),
        )

    @classmethod
    def load(cls, stem: Path, saved: SavedTransfer, names: tuple[str, ...], extent: int) -> Self:
        """Read what `save` wrote and returned.

        Raises:
            ArtefactError: numbers that do not belong together, or a missing booster.
        """
        effects = np.array(saved.effects).reshape(len(saved.effects), -1)
        quantiles = np.array(saved.quantiles).reshape(-1, len(GRID))
        whole = (
            len(saved.shared) == len(SHARED)
            and effects.shape == (len(saved.origins), len(EFFECTS))
            and len(effects) > 0
            and len(saved.lower) == len(saved.upper) == len(_spanning(names, extent))
            and len(quantiles) in (0, 2)
            and bool((np.diff(quantiles, axis=1) >= 0).all())
        )
        if not whole:
            raise ArtefactError(f"{stem}: effects, ranges or quantiles that do not belong together")
        waves = Waves(np.array(saved.shared), saved.width)
        booster, bounds = Boosted.load(stem), (np.array(saved.lower), np.array(saved.upper))
        return cls(names, waves, effects, saved.origins, booster, *bounds, quantiles)


def _regime(
    features: Array, names: tuple[str, ...], work: Work, waves: Waves, effects: Array
) -> tuple[Array, Array]:
    """Features that mean the same on every device, and the logarithm of the time that they explain."""
    choice = waves.chosen(work, effects)
    parts = waves.parts(work, effects, choice)
    log_us = np.log(parts.total)
    own = [
        np.log(parts.launch) - log_us,
        np.log(parts.cores + 1e-9) - log_us,
        np.log(parts.memory + 1e-9) - log_us,
        work.roof_compute - log_us,
        work.roof_memory - log_us,
        np.log(choice.share),
        choice.waves / choice.share,
        np.log(choice.compute * choice.waves + 1e-12) - work.roof_compute,
        choice.tile,
        choice.split,
    ]
    common = [number for number, name in enumerate(names) if name not in MACHINE]
    return np.column_stack([features[:, common], *own]), log_us


def _spanning(names: tuple[str, ...], extent: int) -> list[int]:
    """Numbers of the features whose range counts: the leading ones, and the figures of the devices."""
    return [*range(extent), *(number for number, name in enumerate(names) if name in MACHINE)]


def _figures(names: tuple[str, ...]) -> int:
    return sum(name in MACHINE for name in names)


def _weights(sample: Sample) -> Array:
    """Each family counts the same, and in it each table."""
    kins = np.array([known.kin for known in sample.origins])
    siblings = np.array([(kins == kin).sum() for kin in kins])
    rows = np.bincount(sample.tables, minlength=len(kins))
    weights = (1.0 / (siblings * rows))[sample.tables]
    return np.asarray(weights / weights.mean())


def _judged(model: Transfer, held: Sample, seed: int) -> tuple[Array, Array]:
    """Residuals of a family left out as multiples of their size: without, and with a handful measured."""
    generator = np.random.default_rng(seed)
    before: list[Array] = []
    after: list[Array] = []
    for number, asked in enumerate(held.origins):
        rows = np.flatnonzero(held.tables == number)
        own = held.take(rows)
        before.append(_multiples(model, own, model.known(asked)))
        for _ in range(DRAWS if len(rows) > 2 * HANDFUL else 0):
            handful = generator.permutation(len(rows))[:HANDFUL]
            few = own.take(handful)
            known = model.adapted(few.features, few.floor, few.label, asked)
            after.append(_multiples(model, own, known))
    return np.concatenate(before), np.concatenate(after or before)


def _multiples(model: Transfer, own: Sample, known: Known) -> Array:
    log_us, size = model.sized(own.features, own.floor, known)
    return np.asarray((np.log(own.label) - log_us) / size)


def _pooled(families: Sequence[Array]) -> Array:
    """Quantiles for the next family: wider than those of most families left out, and mirrored.

    The widest of them would be safe, but one odd family (another vendor's) would decide for all; their median
    fails the next family that errs in its own way (docs/log.md).
    """
    each = [conformal_quantiles(np.concatenate([-np.abs(one), np.abs(one)])) for one in families]
    # Between two families by their ratio: the odd one may err many times as much.
    reach = np.exp(np.quantile(np.log(np.abs(each) + NEGLIGIBLE), VOICES, axis=0)) - NEGLIGIBLE
    return np.asarray(np.sign(np.array(GRID) - 0.5) * (reach + reach[::-1]) / 2.0)
