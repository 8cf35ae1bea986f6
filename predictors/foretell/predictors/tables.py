"""The predictor of rows that come in tables: a model for each table, and one for all that is in none.

One library version's kernels on one device have quirks of their own (which tile where), which a model of
that table alone learns best; see docs/log.md. A query that names no table, or one that was never measured,
is answered by a generalist that knows devices by their published figures only. For a device or data type that
nobody measured `unseen` answers, from physics with a few numbers of the device: what other devices let one
expect of them or, after `TablePredictor.adapted`, what a handful of its own measurements says.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final, NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.errors import ArtefactError, InputError, one_of
from foretell.features.base import UNKNOWN_TABLE, Array, Batch, Encoder, Place
from foretell.predictors.artefact import FORMAT, Document, read_document, write_document
from foretell.predictors.base import LEVELS, Prediction, Task
from foretell.predictors.families import ENCODERS, FAMILIES, TRANSFERRING
from foretell.predictors.handful import check_enough, checked_handful
from foretell.predictors.head import Head
from foretell.predictors.interval import GRID
from foretell.predictors.options import TableOptions
from foretell.predictors.regressor import Regressor
from foretell.predictors.unseen import Site, Unseen, unseen_interval

MIN_TABLE_ROWS: Final = 50
"""A smaller table cannot calibrate a 90 % interval of its own with any room; the generalist takes it."""
GENERAL_ROWS: Final = 60_000
"""Rows that the generalist learns from, drawn from all tables: it has no quirks to learn."""
UNSEEN_ROWS: Final = 20_000
REMEMBERED: Final = 1_000
"""Places whose head is remembered, by levels."""
GENERAL: Final = UNKNOWN_TABLE
"""Head for known devices and data types without a table of their own."""
UNSEEN: Final = "?"
"""A baseline's model for devices and data types that were never measured: the generalist, with an interval of
its own. Other families have `Unseen` instead."""
TIME: Final = "us"
"""Unit of the labels that `Unseen` knows the physics of."""


class _Route(NamedTuple):
    """Who answers for a place, with its multiples of the size at some levels."""

    head: Head | Site
    multiples: list[float]
    strange: bool


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
        self._unseen: Unseen | None = None
        self._adapted: dict[str, Site] = {}
        self._routes: dict[tuple[Place, tuple[float, ...]], _Route] = {}

    def fit(self, rows: pl.DataFrame, *, seed: int) -> Self:
        """Learn from validated rows that carry the label.

        Raises:
            InputError: no rows, or too few to calibrate a single table.
        """
        self.encoder.fit(rows)
        batch = self.encoder.columns(rows.select(self.query.__struct_fields__))
        self._realms = frozenset(place.realm for place in batch.places)
        self._routes, self._adapted = {}, {}
        self._heads, self._unseen = self._fit_heads(rows, batch, seed)
        if not (self._heads or self._unseen):
            expected = f"a table of {MIN_TABLE_ROWS} rows and two groups at least"
            raise InputError("rows", f"{rows.height} rows", expected)
        return self

    def predict(self, rows: pl.DataFrame, levels: Sequence[float] = LEVELS) -> Prediction:
        """Answer for rows of query columns."""
        return self._predict(self.encoder.columns(rows), checked_levels(levels))

    def answer(self, queries: Sequence[Any], levels: Sequence[float] = LEVELS) -> Prediction:
        """Answer for validated query structs.

        Raises:
            InputError: no queries, a device that is not described, or a shape that it cannot hold.
        """
        checked = LEVELS if levels is LEVELS else checked_levels(levels)
        if len(queries) == 1:
            return self._answer_one(queries[0], checked)
        if not queries:
            raise InputError("queries", queries, "at least one")
        return self._predict(self.encoder.gather(queries), checked)

    def tables(self) -> list[str]:
        """Names of the tables that have a model of their own."""
        return sorted(set(self._heads) - {GENERAL, UNSEEN})

    def head(self, query: Any) -> Head | Site:
        """The model that answers a query."""
        return self._route(self.encoder.place(query), LEVELS).head

    def adapted(self, rows: pl.DataFrame) -> Self:
        """The same predictor, but for a device that it knows by its figures and now by these measurements.

        Args:
            rows: query columns and the label, `handful.MIN_POINTS` rows at least of each data type; all of
                one device that was not learnt from.

        Raises:
            InputError: a column that is missing or unknown, rows of two devices, too few of them, a label
                that is no positive number, measurements that contradict each other, or a device that was
                learnt from.
        """
        if not self._unseen:
            raise InputError("calibrate", self.task.target, "a model of times that transfers")
        handful = checked_handful(rows, self.query, self.task.label)
        batch = self.encoder.columns(handful.drop(self.task.label))
        label = handful[self.task.label].to_numpy()
        sites = {}
        for realm in sorted({place.realm for place in batch.places}):
            codes = [code for code, place in enumerate(batch.places) if place.realm == realm]
            self._check_unmeasured([batch.places[code] for code in codes])
            chosen = np.flatnonzero(np.isin(batch.codes, codes))
            check_enough(realm, len(chosen))
            features, floor = self.encoder.encode(batch.take(chosen))
            sites[realm] = self._unseen.adapted(batch.places[codes[0]], features, floor, label[chosen])
        twin = copy(self)
        twin._adapted, twin._routes = self._adapted | sites, {}
        return twin

    def _check_unmeasured(self, places: Sequence[Place]) -> None:
        for place in places:
            if place.realm in self._realms:
                tables = one_of(table for table in self.tables() if table.startswith(f"{place.realm}/"))
                expected = f"a device that the model has not learnt; it has the tables {tables} of this one"
                raise InputError("device", place.realm, expected)

    def _answer_one(self, query: Any, levels: tuple[float, ...]) -> Prediction:
        head, multiples, strange = self._route(self.encoder.place(query), levels)
        features, floor = self.encoder.encode_one(query)
        values, beyond = head.predict_one(features, floor, multiples)
        most = self.encoder.bound_one(query)
        if most is not None:
            values = [min(value, most) for value in values]
        return self._prediction(np.array([values]), np.array([strange or beyond]), levels)

    def _predict(self, batch: Batch, levels: tuple[float, ...]) -> Prediction:
        features, floor = self.encoder.encode(batch)
        values = np.empty((len(floor), len(levels)))
        outside = np.empty(len(floor), dtype=bool)
        for code, place in enumerate(batch.places):
            rows = slice(None) if len(batch.places) == 1 else np.flatnonzero(batch.codes == code)
            head, multiples, strange = self._route(place, levels)
            values[rows], beyond = head.predict(features[rows], floor[rows], multiples)
            outside[rows] = beyond | strange
        most = self.encoder.bound(batch)
        return self._prediction(
            values if most is None else np.minimum(values, most[:, None]), outside, levels
        )

    def _prediction(
        self, values: Array, outside: npt.NDArray[np.bool_], levels: tuple[float, ...]
    ) -> Prediction:
        return Prediction(self.task.target, self.task.unit, levels, values, outside)

    def _route(self, place: Place, levels: tuple[float, ...]) -> _Route:
        route = self._routes.get((place, levels))
        if route is None:
            if len(self._routes) >= REMEMBERED:
                self._routes.clear()
            head, strange = self._answerer(place)
            route = _Route(head, head.interval.at(levels).tolist(), strange)
            self._routes[place, levels] = route
        return route

    def _answerer(self, place: Place) -> tuple[Head | Site, bool]:
        """The model that answers, and whether that is for want of a better one."""
        if self._unseen and place.realm not in self._realms:
            return self._adapted.get(place.realm) or self._unseen.site(place), True
        name, strange = self._head(place)
        return self._heads[name], strange

    def _head(self, place: Place) -> tuple[str, bool]:
        """Name of the head that answers, and whether that is for want of a better one."""
        if place.table and place.table in self._heads:
            return place.table, False
        if not place.table and (only := self._only_table(place.realm)):
            return only, False
        head = GENERAL if place.realm in self._realms else UNSEEN
        if head not in self._heads:
            raise InputError("backend, backend_version", place.table or None, one_of(self.tables()))
        return head, bool(place.table) or head == UNSEEN

    def _only_table(self, realm: str) -> str | None:
        """The table of a device and data type where there is just one, which is then what is asked about."""
        found = [table for table in self.tables() if table.startswith(f"{realm}/")]
        return found[0] if len(found) == 1 else None

    def _fit_heads(
        self, rows: pl.DataFrame, batch: Batch, seed: int
    ) -> tuple[dict[str, Head], Unseen | None]:
        """All models, one to a core: tables are small, and threads within one would wait for each other."""
        tables = {
            table: chosen
            for table, chosen in _tables(batch)
            if self.options.measured and self._calibrates(rows, chosen)
        }
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            general = pool.submit(self._generalist, rows, batch, seed) if self.options.generalist else None
            unseen = pool.submit(self._fit_unseen, rows, batch, seed) if self._transfers() else None
            fitted = pool.map(lambda chosen: self._fit_head(rows, batch, chosen, seed), tables.values())
            heads = dict(zip(tables, fitted, strict=True))
            return heads | (general.result() if general else {}), unseen.result() if unseen else None

    def _transfers(self) -> bool:
        """Whether physics answers for devices that were not measured."""
        return self.options.generalist and self.options.family in TRANSFERRING and self.task.unit == TIME

    def _fit_unseen(self, rows: pl.DataFrame, batch: Batch, seed: int) -> Unseen:
        return Unseen.fit(self.encoder, batch, rows[self.task.label].to_numpy(), seed=seed)

    def _generalist(self, rows: pl.DataFrame, batch: Batch, seed: int) -> dict[str, Head]:
        chosen = np.random.default_rng(seed).permutation(rows.height)[:GENERAL_ROWS]
        needless = self._transfers() and not self.options.measured
        if needless or not self._calibrates(rows, chosen):
            return {}
        general = self._fit_head(rows, batch, chosen, seed)
        if self._transfers():
            return {GENERAL: general}
        fewer = chosen[:UNSEEN_ROWS]
        kin = np.array([place.kin for place in batch.places])[batch.codes[fewer]]
        features, floor, label = self._encode(rows, batch, fewer)
        z = np.log(label / (floor + general.overhead))
        unseen = unseen_interval(self._family, features, z, kin, seed=seed)
        return {GENERAL: general, UNSEEN: replace(general, interval=unseen)}

    def _fit_head(self, rows: pl.DataFrame, batch: Batch, chosen: npt.NDArray[np.intp], seed: int) -> Head:
        encoded = self._encode(rows, batch, chosen)
        groups = self._groups(rows, chosen)
        return Head.fit(self._family, *encoded, groups, extent=self.encoder.extent, seed=seed)

    def _encode(
        self, rows: pl.DataFrame, batch: Batch, chosen: npt.NDArray[np.intp]
    ) -> tuple[Array, Array, Array]:
        """Features, floor and label of some rows."""
        features, floor = self.encoder.encode(batch.take(chosen))
        return features, floor, rows[self.task.label].to_numpy()[chosen]

    def _groups(self, rows: pl.DataFrame, chosen: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
        columns = self.options.groups or self.encoder.shape
        return rows.select(columns)[chosen].select(pl.struct(columns).rank("dense")).to_series().to_numpy()

    def _calibrates(self, rows: pl.DataFrame, chosen: npt.NDArray[np.intp]) -> bool:
        return len(chosen) >= MIN_TABLE_ROWS and len(np.unique(self._groups(rows, chosen))) > 1

    def save(self, path: Path) -> None:
        """Write the document and the models into the new folder `path`."""
        path.mkdir(parents=True)
        models = list(dict.fromkeys(head.regressor for head in self._heads.values()))
        for number, model in enumerate(models):
            model.save(_stem(path, "model", number))
        heads = {
            table: head.save(_stem(path, "head", number), models.index(head.regressor))
            for number, (table, head) in enumerate(self._heads.items())
        }
        encoder, names = self.encoder.state(), self.encoder.names
        realms = tuple(sorted(self._realms))
        unseen = self._unseen.save(path) if self._unseen else None
        write_document(
            path,
            Document(FORMAT, self.task, self.options, names, encoder, realms, heads, files={}, unseen=unseen),
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: files that are missing or damaged, or of another format.
        """
        document = read_document(path)
        loaded = cls(document.task, document.options, _encoder(document), _family(document))
        loaded._realms = frozenset(document.realms)
        models = {
            number: loaded._family.load(_stem(path, "model", number))
            for number in {head.model for head in document.heads.values()}
        }
        loaded._heads = {
            table: Head.load(_stem(path, "head", number), saved, models[saved.model], loaded.encoder.extent)
            for number, (table, saved) in enumerate(document.heads.items())
        }
        if document.unseen:
            extent = loaded.encoder.extent
            loaded._unseen = Unseen.load(path, document.unseen, loaded.encoder.names, extent)
        return loaded


def checked_levels(levels: Sequence[float]) -> tuple[float, ...]:
    """Quantile levels that increase within (0, 1).

    Raises:
        InputError: any others.
    """
    expected = f"a list of increasing quantile levels from {GRID[0]} to {GRID[-1]}"
    try:
        checked = tuple(float(level) for level in levels)
    except (TypeError, ValueError) as error:
        raise InputError("levels", levels, expected) from error
    within = all(GRID[0] <= level <= GRID[-1] for level in checked)
    if not checked or not within or any(a >= b for a, b in pairwise(checked)):
        raise InputError("levels", list(checked), expected)
    return checked


def _tables(batch: Batch) -> Iterator[tuple[str, npt.NDArray[np.intp]]]:
    """Name and row numbers of each table."""
    for code, place in enumerate(batch.places):
        if place.table != UNKNOWN_TABLE:
            yield place.table, np.flatnonzero(batch.codes == code)


def _stem(path: Path, kind: str, number: int) -> Path:
    return path / f"{kind}{number:03d}"


def _encoder(document: Document) -> Encoder:
    name = document.task.encoder
    if name not in ENCODERS:
        raise ArtefactError(f"encoder {name!r} is not among {one_of(ENCODERS)}")
    kind: type[Encoder] = resolve_name(ENCODERS[name])
    if document.features != kind.names:
        raise ArtefactError("trained on other features than this version of foretell computes: train anew")
    try:
        return kind.from_state(document.encoder)
    except (KeyError, msgspec.ValidationError) as error:
        raise ArtefactError(f"the state of encoder {name!r} does not fit: {error!r}") from error


def _family(document: Document) -> type[Regressor]:
    name = document.options.family
    if name not in FAMILIES:
        raise ArtefactError(f"family {name!r} is not among {one_of(FAMILIES)}")
    family: type[Regressor] = resolve_name(FAMILIES[name])
    return family
