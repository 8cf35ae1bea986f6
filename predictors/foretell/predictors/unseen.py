"""Who answers for hardware that nobody measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from foretell.features.base import Array, Batch, Encoder, Place
from foretell.predictors.interval import MAX_SPREAD, Interval, held_out_residuals
from foretell.predictors.kinship import dtype_of, origin
from foretell.predictors.regressor import Regressor
from foretell.predictors.transfer import (
    MIN_FAMILIES,
    Known,
    Sample,
    SavedTransfer,
    Transfer,
)

PRIOR_FACTOR: Final = 6.0
"""Half-width of a baseline, as a factor, where nothing can be left out. A model of all but one of ada,
ampere, blackwell, hopper and xe2 was within it for 93 to 99.8 % of the products on the one left out."""
FAMILY_ROWS: Final = 3_000
"""Rows of a data type that one family of hardware teaches, shared by its tables."""
MAX_ROWS: Final = 12_000
MIN_ROWS: Final = 20
"""Of a data type; below, another one answers for it."""
SLACK: Final = 1e-9
"""Rounding, in octaves, that is no excursion."""


def unseen_interval(
    make: Callable[[], Regressor], features: Array, z: Array, kin: npt.NDArray[Any], *, seed: int
) -> Interval:
    """From the errors on each family of hardware when it is left out whole: H100 must not vouch for H200.

    With fewer than `MIN_FAMILIES` a wide prior is all there is.

    Args:
        make: builds an unfitted model.
        features: shape (rows, features).
        z: shape (rows,), what the model learns.
        kin: shape (rows,), name of the family of each row.
        seed: of the models.
    """
    families = len(np.unique(kin))
    if families < MIN_FAMILIES:
        return Interval.wide(PRIOR_FACTOR)
    held, residuals = held_out_residuals(make, features, z, kin, folds=families, enough=len(z), seed=seed)
    return Interval.across(residuals, kin[held])


class SavedUnseen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the document of a saved predictor says of an `Unseen`.

    Attributes:
        transfers: data type to its model.
        rows: data type to the number of rows that it learnt from.
    """

    transfers: dict[str, SavedTransfer]
    rows: dict[str, int]


@dataclass(frozen=True, slots=True)
class Site:
    """The model of one place that was not measured, or a handful of times; asked like a `Head`.

    Attributes:
        transfer: of its data type.
        known: its effects.
        interval: of the errors, as multiples of their size.
    """

    transfer: Transfer
    known: Known
    interval: Interval

    def predict(
        self, features: Array, floor: Array, multiples: list[float]
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """Quantiles, shape (rows, levels), and whether each row lies outside of the range seen.

        Outside, the interval widens with the octaves of distance (see `Transfer.widening`).

        Args:
            features: shape (rows, features).
            floor: shape (rows,).
            multiples: of the size of the residual, one per level: ``interval.at(levels)``.
        """
        log_us, size, octaves = self.transfer.predict(features, floor, self.known)
        reach = np.minimum(size * (1.0 + self.transfer.widening() * octaves), self._largest())
        values = np.exp(log_us[:, None] + reach[:, None] * multiples)
        return values, octaves > SLACK

    def predict_one(
        self, features: list[float], floor: float, multiples: list[float]
    ) -> tuple[list[float], bool]:
        """`predict` for one row."""
        values, beyond = self.predict(np.array([features]), np.array([floor]), multiples)
        return values[0].tolist(), bool(beyond[0])

    def _largest(self) -> float:
        return MAX_SPREAD / max(float(self.interval.quantiles[-1]), 1e-3)


class Unseen:
    """The models of hardware that nobody measured, by data type.

    Args:
        transfers: data type to its model.
        rows: data type to the number of rows that it learnt from.
    """

    def __init__(self, transfers: Mapping[str, Transfer], rows: Mapping[str, int]) -> None:
        self._transfers = dict(transfers)
        self._rows = dict(rows)

    @classmethod
    def fit(cls, encoder: Encoder, batch: Batch, label: Array, *, seed: int) -> Self:
        """Learn from measured rows of all devices.

        Args:
            encoder: of the rows.
            batch: the rows.
            label: measured µs, shape (rows,).
            seed: of everything drawn.
        """
        dtypes = np.array([dtype_of(place) for place in batch.places])[batch.codes]
        transfers, rows = {}, {}
        for dtype in np.unique(dtypes).tolist():
            chosen = _balanced(batch, np.flatnonzero(dtypes == dtype), seed)
            rows[dtype] = len(chosen)
            if len(chosen) < MIN_ROWS:
                continue
            features, floor = encoder.encode(batch.take(chosen))
            used, tables = np.unique(batch.codes[chosen], return_inverse=True)
            origins = [origin(batch.places[number]) for number in used]
            sample = Sample(features, floor, label[chosen], tables, origins)
            transfers[dtype] = Transfer.fit(sample, encoder.names, encoder.extent, seed)
        return cls(transfers, rows)

    def __bool__(self) -> bool:
        return bool(self._transfers)

    def site(self, place: Place) -> Site:
        """The model of a place without a measurement of its own."""
        transfer = self._transfer(place)
        known = transfer.known(origin(place))
        return Site(transfer, known, transfer.interval(known))

    def adapted(self, place: Place, features: Array, floor: Array, label: Array) -> Site:
        """The model of a place with a handful of measurements of its own.

        Args:
            place: where they were made.
            features: shape (rows, features).
            floor: shape (rows,).
            label: measured µs, shape (rows,).
        """
        transfer = self._transfer(place)
        known = transfer.adapted(features, floor, label, origin(place))
        return Site(transfer, known, transfer.interval(known))

    def save(self, path: Path) -> SavedUnseen:
        """Write the boosters into the folder `path`; the rest is returned."""
        transfers = {
            dtype: transfer.save(_stem(path, number))
            for number, (dtype, transfer) in enumerate(self._transfers.items())
        }
        return SavedUnseen(transfers, self._rows)

    @classmethod
    def load(cls, path: Path, saved: SavedUnseen, names: tuple[str, ...], extent: int) -> Self:
        """Read what `save` wrote and returned.

        Raises:
            ArtefactError: numbers that do not belong together, or a missing booster.
        """
        transfers = {
            dtype: Transfer.load(_stem(path, number), transfer, names, extent)
            for number, (dtype, transfer) in enumerate(saved.transfers.items())
        }
        return cls(transfers, saved.rows)

    def _transfer(self, place: Place) -> Transfer:
        """The model of the data type, else that of the one that was measured most."""
        dtype = dtype_of(place)
        most = max(self._transfers, key=lambda name: self._rows[name])
        return self._transfers[dtype if dtype in self._transfers else most]


def _balanced(batch: Batch, rows: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    """Some of the rows, with as many of each family of hardware, and in it of each table, as there are."""
    order = rows[np.random.default_rng(seed).permutation(len(rows))]
    codes = batch.codes[order]
    kins = [place.kin for place in batch.places]
    used = np.unique(codes)
    families = len({kins[code] for code in used})
    most = min(FAMILY_ROWS, MAX_ROWS // families)
    siblings = {code: sum(kins[other] == kins[code] for other in used) for code in used}
    taken = [order[codes == code][: max(1, most // siblings[code])] for code in used]
    return np.sort(np.concatenate(taken))


def _stem(path: Path, number: int) -> Path:
    return path / f"unseen{number:03d}"
