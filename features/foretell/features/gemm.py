"""The encoder of matrix products: validated columns, device figures, physics."""

from collections.abc import Iterable, Mapping, Sequence
from math import log2
from typing import Any, ClassVar, Final, Self, TypeAlias

import msgspec
import numpy as np
import polars as pl

from foretell.datasets.device import DeviceFigures, device, slug
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.kernel import TABLE, GemmQuery
from foretell.errors import InputError
from foretell.features.base import UNKNOWN_TABLE, Array, Batch, Encoded, Place
from foretell.features.frame import query_columns
from foretell.features.physics import EXTENT, NAMES, SCALAR, VECTOR, Machine, gemm_bytes, gemm_features

BLOCK: Final = 2048
"""Rows encoded at once, so that their features stay in the processor's cache."""
REMEMBERED: Final = 1_000
"""Places kept by name; a stream of made-up backends must not fill the memory."""
Key: TypeAlias = tuple[str, str, str | None, str | None]
"""Values of the columns `TABLE`."""


class GemmEncoder:
    """Rows of `kernel` with the operator gemm, as numbers.

    Args:
        described: figures of devices that the published table lacks, such as the machine at hand.
    """

    query: ClassVar[type[msgspec.Struct]] = GemmQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    shape: ClassVar[tuple[str, ...]] = ("m", "n", "k")
    extent: ClassVar[int] = EXTENT

    def __init__(self, described: Iterable[DeviceFigures] = ()) -> None:
        self._devices: dict[str, DeviceFigures] = {}
        self._machines: dict[str, Machine] = {}
        self._places: dict[Key, Place] = {}
        for figures in described:
            self._keep(figures)

    def fit(self, rows: pl.DataFrame) -> Self:
        """Keep the figures of the devices in `rows`: a later table of devices changes no saved model."""
        for name in rows["device"].unique():
            self._keep(self._figures(name))
        return self

    def columns(self, rows: pl.DataFrame) -> Batch:
        """The queries in a frame."""
        columns = query_columns(rows, GemmQuery)
        numbers = {name: np.asarray(columns[name], dtype=np.float64) for name in "mnk"}
        return self._batch(numbers, zip(*(columns[name] for name in TABLE), strict=True))

    def gather(self, queries: Sequence[GemmQuery]) -> Batch:
        """Validated structs as columns."""
        numbers = {
            "m": np.array([query.m for query in queries], dtype=np.float64),
            "n": np.array([query.n for query in queries], dtype=np.float64),
            "k": np.array([query.k for query in queries], dtype=np.float64),
        }
        return self._batch(numbers, map(_key, queries))

    def encode(self, batch: Batch) -> Encoded:
        """Features of shape (rows, len(names)) and the roofline time in µs."""
        features = np.empty((len(batch.codes), len(NAMES)))
        floor_us = np.empty(len(batch.codes))
        figures = np.array([self._machines[place.realm] for place in batch.places])
        for start in range(0, len(batch.codes), BLOCK):
            block = slice(start, start + BLOCK)
            m, n, k = (batch.numbers[name][block] for name in "mnk")
            # One device for all rows stays a number, which NumPy spreads for free.
            machine = Machine(*(figures[0] if len(figures) == 1 else figures[batch.codes[block]].T))
            _check_memory(m, n, k, machine)
            columns, floor_us[block] = gemm_features(m, n, k, machine, VECTOR)
            for number, column in enumerate(columns):
                features[block, number] = column
        return Encoded(features, floor_us)

    def place(self, query: GemmQuery) -> Place:
        """Where a query runs."""
        return self._place(_key(query))

    def encode_one(self, query: GemmQuery) -> tuple[list[float], float]:
        """`encode` for one query, without the cost of arrays."""
        machine = self._machines[self._place(_key(query)).realm]
        m, n, k = query.m, query.n, query.k
        if gemm_bytes(m, n, k, machine) > machine.memory_bytes:
            raise _too_large(m, n, k, machine.memory_bytes)
        return gemm_features(m, n, k, machine, SCALAR)

    def state(self) -> dict[str, Any]:
        """Figures of the devices, ready for JSON."""
        return {
            "devices": [msgspec.to_builtins(figures) for figures in dict.fromkeys(self._devices.values())]
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The encoder whose `state` this was."""
        return cls(msgspec.convert(state["devices"], list[DeviceFigures]))

    def _keep(self, figures: DeviceFigures) -> None:
        for name in (figures.name, *filter(None, (figures.aliases or "").split(";"))):
            self._devices[name] = figures

    def _figures(self, name: str) -> DeviceFigures:
        return self._devices.get(name) or self._devices.get(slug(name)) or device(name)

    def _batch(self, numbers: Mapping[str, Array], keys: Iterable[Key]) -> Batch:
        index: dict[Key, int] = {}
        codes = [index.setdefault(key, len(index)) for key in keys]
        # Two names of one device are one place.
        places: dict[Place, int] = {}
        merged = np.array([places.setdefault(self._place(key), len(places)) for key in index])
        return Batch(numbers, list(places), merged[codes])

    def _place(self, key: Key) -> Place:
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            known = self._places[key] = self._new_place(*key)
        return known

    def _new_place(self, name: str, dtype: str, backend: str | None, version: str | None) -> Place:
        if (backend is None) != (version is None):
            missing = "backend" if backend is None else "backend_version"
            raise InputError(missing, None, "backend and backend_version together, or neither")
        figures = self._figures(name)
        realm = f"{figures.name}/{dtype}"
        self._machines[realm] = _machine(figures, dtype)
        table = UNKNOWN_TABLE if backend is None else f"{realm}/{backend}/{version}"
        return Place(table, realm, kin(figures))


def kin(figures: DeviceFigures) -> str:
    """The architecture of a device; one without is alone of its kind."""
    return figures.family or figures.name


def _key(query: GemmQuery) -> Key:
    return query.device, query.dtype, query.backend, query.backend_version


def _machine(figures: DeviceFigures, dtype: str) -> Machine:
    moved, flops, bandwidth = DTYPES[dtype], figures.peak_flops(dtype), figures.memory_bandwidth_gb_s * 1e9
    return Machine(
        flops=flops,
        bandwidth=bandwidth,
        cores=float(figures.cores),
        memory_bytes=figures.memory_gb * 1e9,
        a_bytes=moved.a_bytes,
        b_bytes=moved.b_bytes,
        c_bytes=moved.c_bytes,
        log_peak=log2(flops),
        log_bandwidth=log2(bandwidth),
        log_cores=log2(figures.cores),
        log_cache=log2(figures.last_level_cache_mb * 1e6),
        log_clock=log2(figures.clock_mhz * 1e6),
    )


def _check_memory(m: Array, n: Array, k: Array, machine: Machine) -> None:
    too_large = gemm_bytes(m, n, k, machine) > machine.memory_bytes
    if too_large.any():
        row = int(np.argmax(too_large))
        memory_bytes = np.broadcast_to(machine.memory_bytes, m.shape)[row]
        raise _too_large(int(m[row]), int(n[row]), int(k[row]), float(memory_bytes))


def _too_large(m: int, n: int, k: int, memory_bytes: float) -> InputError:
    return InputError(
        "m, n, k", (m, n, k), f"a product that fits the {memory_bytes / 1e9:g} GB of its device"
    )
