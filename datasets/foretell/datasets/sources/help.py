"""HELP's latencies of whole networks (MIT; Lee et al., NeurIPS 2021): NAS-Bench-201, FBNet, Once-for-all.

Read from one Parquet file a space, ``<space>_latency_ms.parquet`` with one column a device, and
``nb201_arch.parquet``. The published repository keeps the same as PyTorch tensors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from foretell.datasets.collectors.base import Availability
from foretell.datasets.network import NetworkRow
from foretell.datasets.sources.base import Batch, merged
from foretell.datasets.spaces import SPACES
from foretell.datasets.spaces.base import space
from foretell.datasets.spaces.tables import Table, file_of, read_table
from foretell.datasets.validate import validate
from foretell.errors import UnavailableError

NO_ENERGY: Final = "not published"


@dataclass(frozen=True, slots=True)
class Help:
    """Reads the tables in a folder; see `foretell.datasets.sources.base.Source`."""

    path: Path | None = None
    kind: ClassVar[str] = "network"

    def available(self) -> Availability:
        """Whether any table is there."""
        if self.path is None:
            return Availability(False, "there is no package of it: --from a folder with its tables")
        if not self._there():
            return Availability(False, f"{self.path} holds no {' nor '.join(map(file_of, SPACES))}")
        return Availability(True)

    def batches(self) -> Iterator[Batch]:
        """One batch for each device of each space.

        Raises:
            UnavailableError: no table there.
            InputError: a file in another layout.
        """
        available = self.available()
        if self.path is None or not available:
            raise UnavailableError(available.reason)
        for name in self._there():
            table = read_table(self.path, name)
            written = [space(name).text(row) for row in table.choices.tolist()]
            for device in table.latency_ms:
                yield _batch(table, device, written)

    def read(self) -> Batch:
        """All of `batches` at once."""
        return merged(self.batches())

    def _there(self) -> list[str]:
        return [name for name in SPACES if self.path and (self.path / file_of(name)).is_file()]


def _batch(table: Table, device: str, written: list[str]) -> Batch:
    """Rows of one device; an architecture that was not measured on it is no row."""
    rows = pl.DataFrame({"architecture": written, "latency_ms": table.latency_ms[device]})
    rows = rows.filter(pl.col("latency_ms").is_not_nan()).with_columns(
        space=pl.lit(table.space),
        device=pl.lit(device),
        status=pl.lit("ok"),
        energy_reason=pl.lit(NO_ENERGY),
        origin=pl.lit(f"help/{table.space}"),
    )
    return Batch(*validate(rows, NetworkRow))
