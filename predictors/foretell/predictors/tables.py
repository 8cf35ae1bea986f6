"""The predictor of rows that come in tables: a model for each table, and one for all that is in none.

One library version's kernels on one device have quirks of their own (which tile where), which a model of
that table alone learns best; see docs/log.md. A query that names no table, or one that was never measured,
is answered by a generalist that knows devices by their published figures only. Its interval is calibrated on
tables that it has seen, or, for a device that it has not, by leaving out whole devices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final, Self

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.errors import ArtefactError, InputError, one_of
from foretell.features.base import UNKNOWN_TABLE, Array, Columns, Encoder
from foretell.predictors.base import LEVELS, Prediction, Task
from foretell.predictors.families import ENCODERS, FAMILIES
from foretell.predictors.head import Head
from foretell.predictors.interval import Interval, held_out_residuals
from foretell.predictors.regressor import Regressor

FORMAT: Final = 1
DOCUMENT: Final = "foretell.json"
MIN_TABLE_ROWS: Final = 50
"""A smaller table cannot calibrate a 90 % interval of its own with any room; the generalist takes it."""
GENERAL_ROWS: Final = 60_000
"""Rows that the generalist learns from, drawn from all tables: it has no quirks to learn."""
UNSEEN_ROWS: Final = 20_000
PRIOR_FACTOR: Final = 6.0
"""Half-width, as a factor, on an unseen device when one device alone was measured and nothing can be left
out: from CPU to GPU the share of the roofline that a library reaches differs by about as much."""
MAX_DEVICES: Final = 1_000
CACHED: Final = 1_000
"""Combinations of head and levels whose quantiles are remembered."""
TABLE: Final = "_table"
GENERAL: Final = UNKNOWN_TABLE
"""Head for known devices and data types without a table of their own."""
UNSEEN: Final = "?"
"""The same model, with the interval for devices and data types that were never measured."""


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What to train.

    Attributes:
        family: key of the model family in `foretell.predictors.FAMILIES`.
        groups: columns that the calibration never tears apart; none means row by row.
        generalist: whether rows outside of the tables are answered.
    """

    family: str
    groups: tuple[str, ...] = ("n", "k")
    generalist: bool = True


class SavedHead(msgspec.Struct, forbid_unknown_fields=True):
    """A head in the document of a saved predictor."""

    table: str
    stem: str
    state: dict[str, Any]


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """``foretell.json``: everything of a saved predictor but the models themselves."""

    format: int
    task: Task
    options: TableOptions
    encoder: dict[str, Any]
    realms: list[str]
    heads: list[SavedHead]


class TablePredictor:
    """A predictor with one `Head` per table, and two for rows that belong to none.

    Args:
        task: what is predicted.
        options: what to train.
        encoder: of the rows of `task`.
        family: class of the models.
    """

    def __init__(self, task: Task, options: TableOptions, encoder: Encoder, family: type[Regressor]) -> None:
        self.task = task
        self.options = options
        self.encoder = encoder
        self.query = encoder.query
        self._family = family
        self._heads: dict[str, Head] = {}
        self._realms: frozenset[str] = frozenset()
        self._multiples: dict[tuple[str, tuple[float, ...]], list[float]] = {}

    def fit(self, rows: pl.DataFrame, *, seed: int) -> Self:
        """Learn from validated rows that carry the label.

        Raises:
            InputError: no rows, or too few for a single table.
        """
        self.encoder.fit(rows)
        columns = self._columns(rows)
        self._realms = frozenset(self.encoder.realms(columns))
        tables = rows.with_columns(pl.Series(TABLE, self.encoder.tables(columns))).partition_by(
            TABLE, as_dict=True, include_key=False, maintain_order=True
        )
        for (table,), part in tables.items():
            if part.height >= MIN_TABLE_ROWS:
                self._heads[table] = self._fit_head(part, self._groups(part), seed)
        if self.options.generalist:
            self._fit_generalist(rows, seed)
        if not self._heads:
            raise InputError("rows", rows.height, f"a table of {MIN_TABLE_ROWS} rows at least")
        return self

    def predict(self, rows: pl.DataFrame, levels: Sequence[float] = LEVELS) -> Prediction:
        """Answer for rows of query columns."""
        return self._predict(self.encoder.columns(rows), checked_levels(levels))

    def answer(self, queries: Sequence[Any], levels: Sequence[float] = LEVELS) -> Prediction:
        """Answer for validated query structs."""
        levels = LEVELS if levels is LEVELS else checked_levels(levels)
        if len(queries) != 1:
            return self._predict(self.encoder.gather(queries), levels)
        head, strange = self._route(self.encoder.table(queries[0]), self.encoder.realm(queries[0]))
        features, floor = self.encoder.encode_one(queries[0])
        factors, beyond = self._heads[head].predict_one(features, self._at(head, levels))
        values = np.array([[floor * factor for factor in factors]])
        return self._prediction(values, np.array([strange or beyond]), levels)

    def tables(self) -> list[str]:
        """Names of the tables that have a model of their own."""
        return sorted(set(self._heads) - {GENERAL, UNSEEN})

    def _predict(self, columns: Columns, levels: tuple[float, ...]) -> Prediction:
        features, floor = self.encoder.encode(columns)
        named = zip(self.encoder.tables(columns), self.encoder.realms(columns), strict=True)
        routes, codes = _codes(named)
        z = np.empty((len(floor), len(levels)))
        outside = np.empty(len(floor), dtype=bool)
        for code, route in enumerate(routes):
            rows = slice(None) if len(routes) == 1 else np.flatnonzero(codes == code)
            head, strange = self._route(*route)
            z[rows], beyond = self._heads[head].predict(features[rows], self._at(head, levels))
            outside[rows] = beyond | strange
        return self._prediction(floor[:, None] * np.exp(z), outside, levels)

    def _prediction(
        self, values: Array, outside: npt.NDArray[np.bool_], levels: tuple[float, ...]
    ) -> Prediction:
        return Prediction(self.task.target, self.task.unit, levels, values, outside)

    def _route(self, table: str, realm: str) -> tuple[str, bool]:
        """Name of the head that answers, and whether that is for want of a better one."""
        if table and table in self._heads:
            return table, False
        head = GENERAL if realm in self._realms else UNSEEN
        if head not in self._heads:
            raise InputError("backend, backend_version", table or None, one_of(self.tables()))
        return head, bool(table) or head == UNSEEN

    def _at(self, head: str, levels: tuple[float, ...]) -> list[float]:
        found = self._multiples.get((head, levels))
        if found is None:
            found = self._multiples[head, levels] = self._heads[head].interval.at(levels).tolist()
            if len(self._multiples) > CACHED:
                self._multiples.clear()
        return found

    def _fit_generalist(self, rows: pl.DataFrame, seed: int) -> None:
        some = rows.sample(min(rows.height, GENERAL_ROWS), seed=seed, shuffle=True)
        general = self._heads[GENERAL] = self._fit_head(some, self._groups(some), seed)
        fewer = some.head(UNSEEN_ROWS)
        devices = fewer["device"].to_physical().rank("dense").to_numpy()
        if len(np.unique(devices)) < 2:
            unseen = Interval.wide(PRIOR_FACTOR)
        else:
            features, z = self._encode(fewer)
            held, residuals = held_out_residuals(
                self._family, features, z, devices, folds=MAX_DEVICES, enough=fewer.height, seed=seed
            )
            unseen = Interval.calibrate(features[held], residuals, seed=seed)
        self._heads[UNSEEN] = replace(general, interval=unseen)

    def _fit_head(self, rows: pl.DataFrame, groups: npt.NDArray[Any], seed: int) -> Head:
        features, z = self._encode(rows)
        return Head.fit(self._family, features, z, groups, extent=self.encoder.extent, seed=seed)

    def _encode(self, rows: pl.DataFrame) -> tuple[Array, Array]:
        features, floor = self.encoder.encode(self._columns(rows))
        return features, np.log(rows[self.task.label].to_numpy() / floor)

    def _columns(self, rows: pl.DataFrame) -> Columns:
        return self.encoder.columns(rows.select(self.query.__struct_fields__))

    def _groups(self, rows: pl.DataFrame) -> npt.NDArray[Any]:
        if not self.options.groups:
            return np.arange(rows.height)
        return rows.select(pl.struct(self.options.groups).rank("dense")).to_series().to_numpy()

    def save(self, path: Path) -> None:
        """Write `DOCUMENT` and the models into the new folder `path`."""
        path.mkdir(parents=True)
        heads = [
            SavedHead(table, stem := f"head{number:03d}", head.save(path / stem))
            for number, (table, head) in enumerate(self._heads.items())
        ]
        document = Document(
            FORMAT, self.task, self.options, self.encoder.state(), sorted(self._realms), heads
        )
        (path / DOCUMENT).write_bytes(msgspec.json.format(msgspec.json.encode(document)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: files that are missing or damaged, or of another format.
        """
        document = _read(path / DOCUMENT)
        encoder: type[Encoder] = resolve_name(ENCODERS[document.task.encoder])
        family: type[Regressor] = resolve_name(FAMILIES[document.options.family])
        loaded = cls(document.task, document.options, encoder.from_state(document.encoder), family)
        loaded._realms = frozenset(document.realms)
        loaded._heads = {
            saved.table: Head.load(path / saved.stem, saved.state, family) for saved in document.heads
        }
        return loaded


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Quantile levels that increase within (0, 1).

    Raises:
        InputError: any others.
    """
    within = all(0 < level < 1 for level in levels)
    if not levels or not within or any(a >= b for a, b in pairwise(levels)):
        raise InputError("levels", list(levels), "increasing quantile levels between 0 and 1")
    return tuple(levels)


def _codes(named: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], npt.NDArray[np.intp]]:
    """The distinct entries, and for each entry the number of its distinct one."""
    numbers: dict[tuple[str, str], int] = {}
    codes = [numbers.setdefault(name, len(numbers)) for name in named]
    return list(numbers), np.array(codes)


def _read(path: Path) -> Document:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=Document)
    except (OSError, msgspec.DecodeError) as error:
        raise ArtefactError(f"{path}: {error}") from error
    if document.format != FORMAT:
        raise ArtefactError(f"{path}: format {document.format}, expected {FORMAT}")
    return document
