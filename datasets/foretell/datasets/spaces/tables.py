"""Tables of measured architectures: one row an architecture, one column of milliseconds a device."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.datasets.spaces import fbnet, nb201
from foretell.datasets.spaces.base import Choices, space
from foretell.errors import InputError, UnavailableError, one_of

KEY: Final = "arch_idx"
OFA_LISTS: Final = ("ks", "e", "d")
OFA_SIDE: Final = "r"


@dataclass(frozen=True, slots=True)
class Table:
    """Architectures of one space and their latency on some devices.

    Attributes:
        space: name of the space.
        choices: shape (architectures, positions).
        latency_ms: device to shape (architectures,); NaN where one was not measured.
    """

    space: str
    choices: Choices
    latency_ms: Mapping[str, npt.NDArray[np.float64]]

    def of(self, device: str) -> tuple[Choices, npt.NDArray[np.float64]]:
        """The architectures that were measured on a device, and their latencies in ms.

        Raises:
            InputError: a device that is not there, or a latency that is not positive.
        """
        if device not in self.latency_ms:
            raise InputError("device", device, one_of(self.latency_ms))
        latency_ms = self.latency_ms[device]
        there = ~np.isnan(latency_ms)
        wrong = there & ~((latency_ms > 0) & np.isfinite(latency_ms))
        if wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(f"{device}[{row}]", float(latency_ms[row]), "a positive finite number of ms")
        return self.choices[there], latency_ms[there]


def file_of(name: str) -> str:
    """Name of the file with a space's latencies."""
    return f"{name}_latency_ms.parquet"


def read_table(folder: Path, name: str) -> Table:
    """The table of one space in a folder; cells of NAS-Bench-201 that connect nothing are left out.

    Raises:
        UnavailableError: no such file there.
        InputError: a file in another layout, or rows that are no architectures.
    """
    searched = space(name)
    frame = _read(folder / file_of(name))
    if name == "nb201":
        frame = frame.join(_cells(folder / "nb201_arch.parquet"), on=KEY)
    choices, columns = _choices(frame, name)
    searched.check(choices)
    devices = [column for column in frame.columns if column not in {KEY, *columns}]
    wrong = [device for device in devices if not frame.schema[device].is_float()]
    if wrong:
        expected = "devices' milliseconds as floating-point numbers"
        raise InputError(f"{file_of(name)}: {wrong[0]}", "this column", expected)
    latency_ms = {
        device: frame[device].cast(pl.Float64).fill_null(float("nan")).to_numpy() for device in devices
    }
    return Table(name, choices, latency_ms)


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise UnavailableError(f"{path.parent} holds no {path.name}")
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error


def _column(frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise InputError(name, "no such column", f"among {', '.join(frame.columns)}")
    return frame[name]


def _cells(path: Path) -> pl.DataFrame:
    """The operations of the cells that connect their input with their output."""
    frame = _read(path)
    codes = {operation: code for code, operation in enumerate(nb201.OPERATIONS)}
    for name in nb201.COLUMNS:
        if unknown := set(_column(frame, name).cast(pl.String).unique()) - set(codes):
            raise InputError(f"{path.name}: {name}", min(map(str, unknown)), one_of(codes))
    named = pl.col(nb201.COLUMNS).cast(pl.String).replace_strict(codes, return_dtype=pl.Int64)
    cells = frame.select(KEY, named)
    return cells.filter(nb201.connected(cells.select(nb201.COLUMNS).to_numpy()))


def _choices(frame: pl.DataFrame, name: str) -> tuple[Choices, tuple[str, ...]]:
    """Architectures, and the columns that they stand in."""
    if name == "ofa":
        lists = [np.array(_column(frame, column).to_list()) for column in OFA_LISTS]
        side = _column(frame, OFA_SIDE).to_numpy()[:, None]
        return np.concatenate([*lists, side], axis=1).astype(np.int64), (*OFA_LISTS, OFA_SIDE)
    columns = nb201.COLUMNS if name == "nb201" else fbnet.COLUMNS
    for column in columns:
        _column(frame, column)
    return frame.select(columns).to_numpy().astype(np.int64), columns
