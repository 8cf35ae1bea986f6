"""The encoder of all operators' kernels: validated columns, figures of devices, physics of the operator."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, ClassVar, Final, Self, TypeAlias

import msgspec
import numpy as np
import polars as pl
import polars.selectors as cs

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.fields import Placed, check_rows, numbers_of
from foretell.errors import InputError
from foretell.features.base import Array, Batch, Encoded, Place
from foretell.features.fields import fields_of
from foretell.features.frame import query_columns
from foretell.features.physics import SCALAR, VECTOR, Machine, Operations
from foretell.features.places import Key, Places, Traits

BLOCK: Final = 2048
"""Rows encoded at once, so that their features stay in the processor's cache."""
MACHINE: Final = len(Machine._fields)

Physics: TypeAlias = tuple[list[Any], Any, Any]
"""Features in the order of their names, the least time in µs, and the bytes of memory that are held."""


class KernelEncoder(ABC):
    """Rows of `kernel` with one operator, as numbers; a subclass says which, and its `physics`.

    Args:
        described: figures of devices that the published table lacks, such as the machine at hand.
    """

    query: ClassVar[type[Placed]]
    names: ClassVar[tuple[str, ...]]
    shape: ClassVar[tuple[str, ...]]
    extent: ClassVar[int]
    _key: ClassVar["attrgetter[Key]"]
    _columns: ClassVar[tuple[str, ...]]

    def __init_subclass__(cls) -> None:
        if not hasattr(cls, "query"):
            return  # what several operators share
        cls.shape = numbers_of(cls.query)
        cls._columns = ("device", "dtype", *cls.query.table, "backend", "backend_version")
        cls._key = attrgetter(*cls._columns)

    def __init__(self, described: Iterable[DeviceFigures] = ()) -> None:
        self._places = Places(self.traits, described)

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Numbers for what the texts among the operator's own table columns say.

        Args:
            figures: of the device.
            dtype: data type.
            own: values of the columns ``query.table``.

        Raises:
            InputError: a device without a figure that the operator needs.
        """
        del figures, dtype, own
        return ()

    @staticmethod
    @abstractmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Features, floor and memory of one operator, written once for numbers and for arrays.

        Args:
            query: has each number of `shape` as an attribute: a query, or arrays of shape (rows,).
            machine: figures of the device.
            traits: what `traits` gave; floats, or an array each.
            ops: `SCALAR` or `VECTOR`.
        """

    def fit(self, rows: pl.DataFrame) -> Self:
        """Keep the figures of the devices in `rows`: a later table of devices changes no saved model."""
        for name in rows["device"].unique():
            self._places.keep(self._places.figures(name))
        return self

    def columns(self, rows: pl.DataFrame) -> Batch:
        """The queries in a frame."""
        columns = query_columns(rows, self.query)
        if self.query.checks:
            check_rows(_whole(rows, self.query), self.query.checks)
        numbers = {name: np.asarray(columns[name], dtype=np.float64) for name in self.shape}
        return self._batch(numbers, zip(*(columns[name] for name in self._columns), strict=True))

    def gather(self, queries: Sequence[Any]) -> Batch:
        """Validated structs as columns."""
        numbers = {name: np.array([*map(attrgetter(name), queries)], dtype=np.float64) for name in self.shape}
        return self._batch(numbers, map(self._key, queries))

    def encode(self, batch: Batch) -> Encoded:
        """Features of shape (rows, len(names)) and the least time in µs."""
        features = np.empty((len(batch.codes), len(self.names)))
        floor_us = np.empty(len(batch.codes))
        sites = np.array([[*machine, *traits] for machine, traits in map(self._places.site, batch.places)])
        for start in range(0, len(batch.codes), BLOCK):
            block = slice(start, start + BLOCK)
            shape = SimpleNamespace(**{name: batch.numbers[name][block] for name in self.shape})
            # One place for all rows stays a number, which NumPy spreads for free.
            site = sites[0] if len(sites) == 1 else sites[batch.codes[block]].T
            machine, traits = Machine(*site[:MACHINE]), tuple(site[MACHINE:])
            columns, floor_us[block], held_bytes = self.physics(shape, machine, traits, VECTOR)
            self._check_memory(shape, held_bytes, machine)
            for number, column in enumerate(columns):
                features[block, number] = column
        return Encoded(features, floor_us)

    def place(self, query: Any) -> Place:
        """Where a query runs."""
        return self._places.find(self._key(query))

    def encode_one(self, query: Any) -> tuple[list[float], float]:
        """`encode` for one query, without the cost of arrays."""
        machine, traits = self._places.site(self._places.find(self._key(query)))
        features, floor_us, held_bytes = self.physics(query, machine, traits, SCALAR)
        if held_bytes > machine.memory_bytes:
            raise self._too_large(query, machine.memory_bytes)
        return features, floor_us

    def bound(self, batch: Batch) -> Array | None:
        """The most that a row's label can be, shape (rows,); null where nothing bounds it."""
        del batch
        return None

    def bound_one(self, query: Any) -> float | None:
        """`bound` for one query."""
        del query
        return None

    def state(self) -> dict[str, Any]:
        """Figures of the devices, ready for JSON."""
        return {"devices": [msgspec.to_builtins(figures) for figures in self._places.known()]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The encoder whose `state` this was."""
        return cls(msgspec.convert(state["devices"], list[DeviceFigures]))

    def _batch(self, numbers: Mapping[str, Array], keys: Iterable[Key]) -> Batch:
        index: dict[Key, int] = {}
        codes = [index.setdefault(key, len(index)) for key in keys]
        # Two names of one device are one place.
        places: dict[Place, int] = {}
        merged = np.array([places.setdefault(self._places.find(key), len(places)) for key in index])
        return Batch(numbers, list(places), merged[codes])

    def _check_memory(self, shape: Any, held_bytes: Array, machine: Machine) -> None:
        too_large = held_bytes > machine.memory_bytes
        if too_large.any():
            row = int(np.argmax(too_large))
            values = {name: int(getattr(shape, name)[row]) for name in self.shape}
            memory_bytes = np.broadcast_to(machine.memory_bytes, held_bytes.shape)[row]
            raise self._too_large(SimpleNamespace(**values), float(memory_bytes))

    def _too_large(self, query: Any, memory_bytes: float) -> InputError:
        values = tuple(getattr(query, name) for name in self.shape)
        expected = f"a shape that fits the {memory_bytes / 1e9:g} GB of its device"
        return InputError(", ".join(self.shape), values, expected)


def _whole(rows: pl.DataFrame, query: type[Placed]) -> pl.DataFrame:
    """Validated rows with the fields that were left out, in integers wide enough to calculate with."""
    left_out = {name: field.default for name, field in fields_of(query).items() if name not in rows.columns}
    return rows.with_columns(
        cs.integer().cast(pl.Int64), *(pl.lit(value).alias(name) for name, value in left_out.items())
    )
