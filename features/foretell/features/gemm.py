"""The encoder of matrix products: validated columns, device figures, physics."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, Self

import msgspec
import numpy as np
import polars as pl

from foretell.datasets.device import DeviceFigures, device
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.kernel import TABLE, GemmQuery
from foretell.errors import InputError
from foretell.features.base import UNKNOWN_TABLE, Array, Columns, Encoded
from foretell.features.frame import query_columns
from foretell.features.physics import EXTENT, NAMES, SCALAR, VECTOR, Machine, gemm_bytes, gemm_features

FIELDS: Final = GemmQuery.__struct_fields__
Pair = tuple[str, str]


class GemmEncoder:
    """Rows of `kernel` with the operator gemm, as numbers.

    Args:
        described: figures of devices that the published table lacks, such as the machine at hand.
    """

    query: ClassVar[type[msgspec.Struct]] = GemmQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = EXTENT

    def __init__(self, described: Iterable[DeviceFigures] = ()) -> None:
        self._devices = {figures.name: figures for figures in described}
        self._pairs: dict[Pair, tuple[str, Machine]] = {}

    def fit(self, rows: pl.DataFrame) -> Self:
        """Keep the figures of the devices in `rows`: a later table of devices changes no saved model."""
        for name in rows["device"].unique():
            figures = self._figures(name)
            self._devices[figures.name] = figures
        return self

    def columns(self, rows: pl.DataFrame) -> Columns:
        """Validated query columns of a frame, as arrays."""
        return query_columns(rows, GemmQuery)

    def gather(self, queries: Sequence[GemmQuery]) -> Columns:
        """Query columns of validated structs."""
        return dict(zip(FIELDS, zip(*map(msgspec.structs.astuple, queries), strict=True), strict=True))

    def encode(self, columns: Columns) -> Encoded:
        """Features of shape (rows, len(names)) and the roofline time in µs."""
        m, n, k = (np.asarray(columns[name], dtype=np.float64) for name in "mnk")
        machine = self._machines(columns)
        too_large = gemm_bytes(m, n, k, machine) > machine.memory_bytes
        if too_large.any():
            row = int(np.argmax(too_large))
            self._refuse(int(m[row]), int(n[row]), int(k[row]), columns["device"][row])
        features, floor_us = gemm_features(m, n, k, machine, VECTOR)
        return Encoded(np.stack(np.broadcast_arrays(*features), axis=1), np.asarray(floor_us))

    def encode_one(self, query: GemmQuery) -> tuple[list[float], float]:
        """`encode` for one query, without the cost of arrays."""
        _, machine = self._pair((query.device, query.dtype))
        if gemm_bytes(query.m, query.n, query.k, machine) > machine.memory_bytes:
            self._refuse(query.m, query.n, query.k, query.device)
        return gemm_features(query.m, query.n, query.k, machine, SCALAR)

    def table(self, query: GemmQuery) -> str:
        """Name of the table of measurements that a query belongs to."""
        return self._table(query.device, query.dtype, query.backend, query.backend_version)

    def tables(self, columns: Columns) -> list[str]:
        """Name of the table of measurements that each row belongs to."""
        return _each(zip(*(columns[name] for name in TABLE), strict=True), self._table)

    def realms(self, columns: Columns) -> list[str]:
        """Device and data type of each row."""
        return _each(zip(columns["device"], columns["dtype"], strict=True), self._realm)

    def realm(self, query: GemmQuery) -> str:
        """Device and data type of a query."""
        return self._realm(query.device, query.dtype)

    def state(self) -> dict[str, Any]:
        """Figures of the devices, ready for JSON."""
        return {"devices": [msgspec.to_builtins(figures) for figures in self._devices.values()]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The encoder whose `state` this was."""
        return cls(msgspec.convert(state["devices"], list[DeviceFigures]))

    def _table(self, name: str, dtype: str, backend: str | None, version: str | None) -> str:
        if backend is None or version is None:
            return UNKNOWN_TABLE
        return f"{self._realm(name, dtype)}/{backend}/{version}"

    def _realm(self, name: str, dtype: str) -> str:
        return f"{self._pair((name, dtype))[0]}/{dtype}"

    def _figures(self, name: str) -> DeviceFigures:
        return self._devices.get(name) or device(name)

    def _pair(self, pair: Pair) -> tuple[str, Machine]:
        """Canonical name of the device, and its figures for the data type."""
        known = self._pairs.get(pair)
        if known is None:
            figures = self._figures(pair[0])
            known = self._pairs[pair] = (figures.name, _machine(figures, pair[1]))
        return known

    def _machines(self, columns: Columns) -> Machine:
        """Figures of each row's device for its data type, one array per figure."""
        index: dict[Pair, int] = {}
        pairs = zip(columns["device"], columns["dtype"], strict=True)
        codes = [index.setdefault(pair, len(index)) for pair in pairs]
        figures: Array = np.array([self._pair(pair)[1] for pair in index], dtype=np.float64)
        if len(index) == 1:
            return Machine(*figures[0])
        return Machine(*figures[codes].T)

    def _refuse(self, m: int, n: int, k: int, name: str) -> None:
        memory_gb = self._figures(name).memory_gb
        raise InputError("m, n, k", (m, n, k), f"a product that fits the {memory_gb:g} GB of {name}")


def _machine(figures: DeviceFigures, dtype: str) -> Machine:
    moved = DTYPES[dtype]
    return Machine(
        flops=figures.peak_flops(dtype),
        bandwidth=figures.memory_bandwidth_gb_s * 1e9,
        cores=float(figures.cores),
        cache_bytes=figures.last_level_cache_mb * 1e6,
        memory_bytes=figures.memory_gb * 1e9,
        clock_hz=figures.clock_mhz * 1e6,
        a_bytes=moved.a_bytes,
        b_bytes=moved.b_bytes,
        c_bytes=moved.c_bytes,
    )


def _each(rows: Iterable[tuple[Any, ...]], name: Callable[..., str]) -> list[str]:
    """A name for each row; rows repeat themselves, so that each distinct one is named once."""
    seen: dict[tuple[Any, ...], str] = {}
    return [seen[row] if row in seen else seen.setdefault(row, name(*row)) for row in rows]
