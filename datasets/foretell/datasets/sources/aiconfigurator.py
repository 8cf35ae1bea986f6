"""GEMM tables of NVIDIA's aiconfigurator (Apache-2.0): means of CUDA-graph replays, in milliseconds.

They are published in the wheel ``aiconfigurator-core``, one Parquet file for each system, backend and version
(``systems/data/<system>/gemm/<backend>/<version>/gemm_perf.parquet``), and read from there, from a folder in
that layout or from one file ``aic_gemm.parquet`` that holds them all. The kernel that ran is not kept: nobody
knows it before the call.
"""

import importlib.util
import itertools
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from foretell.datasets.collectors.base import Availability
from foretell.datasets.device import device
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.kernel import TABLE, Kernel
from foretell.datasets.sources.base import Batch, split
from foretell.datasets.sources.copies import find_copies, table_name
from foretell.datasets.validate import validate
from foretell.errors import InputError, UnavailableError, one_of

PACKAGE: Final = "aiconfigurator_core"
ONE_FILE: Final = "aic_gemm.parquet"
EACH_TABLE: Final = "*/gemm/*/*/gemm_perf.parquet"
MEASURED: Final = ("kernel_source", "gemm_dtype", "m", "n", "k", "latency")
ONE_FILE_COLUMNS: Final = frozenset({*MEASURED, "system", "backend", "backend_version"})
EACH_TABLE_COLUMNS: Final = frozenset({*MEASURED, "framework", "version", "device", "op_name"})
SHAPE: Final = ("m", "n", "k")
ORIGIN: Final = ("system", "backend", "backend_version")
TEXT: Final = ("gemm_dtype", *ORIGIN)


class Aiconfigurator:
    """Rows of the kind `kernel` from aiconfigurator's GEMM tables.

    Rejected are, by rule: ``measured_on:<device>`` (the file names another device than its folder),
    ``duplicate`` and ``contradicting_duplicate`` (one shape twice, with the same or another latency; the
    first of the same ones is kept), ``copy_of:<table>``, and what `Kernel` asks for.

    Of tables that are copies of one another all are rejected, because nothing in them says which one was
    measured, and a model would take one device's times for another's. `keep` accepts one of them.
    """

    kind: ClassVar[str] = "kernel"

    def __init__(
        self, path: Path | None = None, *, devices: pl.DataFrame | None = None, keep: tuple[str, ...] = ()
    ) -> None:
        """Store the options.

        Args:
            path: folder or file; null for the installed package.
            devices: devices that foretell does not know, from `read_devices`; aliases name their systems.
            keep: tables, as ``device/dtype/backend/version``, to accept although they have copies.
        """
        self.path = path
        self.devices = devices
        self.keep = keep

    def available(self) -> Availability:
        """Whether the tables are here."""
        if self._files():
            return Availability(ok=True)
        if self.path is None:
            return Availability(ok=False, reason="pip install 'foretell[aiconfigurator]', or name a folder")
        return Availability(ok=False, reason=f"{self.path} holds neither {ONE_FILE} nor {EACH_TABLE}")

    def read(self) -> Batch:
        """All GEMM rows of all systems.

        Raises:
            UnavailableError: no tables here.
            InputError: a system or data type without a name here, unknown or missing columns, a file that is
                no Parquet, or a table in `keep` that was not read.
        """
        available = self.available()
        if not available:
            raise UnavailableError(f"aiconfigurator: {available.reason}")
        rows = pl.concat([self._kernels(_read(path)) for path in self._files()])
        kept, refused = split(rows, pl.col("measured_on"), _repeated(rows), self._copied(rows))
        valid, broken = validate(kept.drop("measured_on"), Kernel)
        return Batch(valid, pl.concat([refused.drop("measured_on"), broken], how="diagonal_relaxed"))

    def _files(self) -> list[Path]:
        folder = self.path or _installed()
        if folder is None or folder.is_file():
            return [folder] if folder else []
        one = folder / ONE_FILE
        return [one] if one.is_file() else sorted(folder.glob(EACH_TABLE))

    def _kernels(self, published: pl.DataFrame) -> pl.DataFrame:
        """Published columns as those of `Kernel` that are known, and `measured_on`, a rule or null."""
        names = {system: self._device(system) for system in published["system"].unique()}
        on = {product: self._device(product) for product in published["product"].unique() if product}
        columns = published.select(
            *SHAPE,
            pl.lit("gemm").alias("operator"),
            pl.col("gemm_dtype").alias("dtype"),
            pl.col("system").replace_strict(names, return_dtype=pl.String).alias("device"),
            "backend",
            "backend_version",
            pl.lit("ok").alias("status"),
            (pl.col("latency").cast(pl.Float64) * 1000).alias("latency_us"),
            pl.lit("not published").alias("energy_reason"),
            origin=pl.concat_str(pl.lit("aiconfigurator"), *ORIGIN, separator="/"),
            measured_on=pl.col("product").replace_strict(on, default=None, return_dtype=pl.String),
        )
        elsewhere = pl.col("measured_on") != pl.col("device")
        return columns.with_columns(
            pl.when(elsewhere).then(pl.concat_str(pl.lit("measured_on:"), "measured_on")).alias("measured_on")
        )

    def _device(self, system: str) -> str:
        try:
            return device(system, self.devices).name
        except InputError as error:
            expected = f"a described device (give others, with this alias, as `devices`): {error.expected}"
            raise InputError("system", system, expected) from error

    def _copied(self, rows: pl.DataFrame) -> pl.Expr:
        """The rule ``copy_of:<table>`` in each row of a table with copies, but those in `keep`."""
        known = rows.select(table_name(TABLE)).to_series().unique()
        # A copy that says so itself leaves the other as the measurement.
        unsaid = rows.filter(pl.col("measured_on").is_null())
        copies = find_copies(unsaid, TABLE, (*SHAPE, "latency_us"))
        self._check_keep(set(known), set(copies.select("table", "copy_of").iter_rows()))
        refused = copies.filter(~pl.col("table").is_in(self.keep)).unique("table", keep="first")
        rules = {name: f"copy_of:{of}" for name, of in refused.select("table", "copy_of").iter_rows()}
        return table_name(TABLE).replace_strict(rules, default=None, return_dtype=pl.String)

    def _check_keep(self, known: set[str], copies: set[tuple[str, str]]) -> None:
        for name in self.keep:
            if name not in known:
                raise InputError("keep", name, f"a table that was read, such as {min(known, default=None)}")
        for pair in itertools.combinations(self.keep, 2):
            if pair in copies:
                raise InputError("keep", pair, "only one of them, they are copies")


def _installed() -> Path | None:
    """Folder of the tables in the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "systems" / "data" if places else None


def _read(path: Path) -> pl.DataFrame:
    """One published file, whichever its layout, in the columns `SHAPE`, `ORIGIN` and three more."""
    try:
        raw = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error
    one_file = "system" in raw.columns
    _check_columns(path, raw, ONE_FILE_COLUMNS if one_file else EACH_TABLE_COLUMNS)
    if one_file:
        return raw.with_columns(pl.col(TEXT).cast(pl.String), product=pl.lit(None, dtype=pl.String))
    system, _, backend, version = path.parts[-5:-1]
    return raw.rename({"device": "product"}).with_columns(
        system=pl.lit(system), backend=pl.lit(backend), backend_version=pl.lit(version)
    )


def _check_columns(path: Path, raw: pl.DataFrame, expected: frozenset[str]) -> None:
    for name in sorted({*raw.columns} ^ expected):
        found = "this column" if name in raw.columns else "no such column"
        raise InputError(f"{path.name}: {name}", found, f"the columns {', '.join(sorted(expected))}")
    for dtype in raw["gemm_dtype"].unique():
        if dtype not in DTYPES:
            raise InputError(f"{path.name}: gemm_dtype", dtype, one_of(DTYPES))
    if not raw["latency"].dtype.is_numeric():
        raise InputError(f"{path.name}: latency", raw["latency"].dtype, "numbers, milliseconds")


def _repeated(rows: pl.DataFrame) -> pl.Series:
    """The rules ``duplicate`` and ``contradicting_duplicate`` for one shape twice in a table."""
    key = (*TABLE, *SHAPE)
    # Hashes find the few rows that are worth grouping.
    suspects = rows.select(*key, "latency_us").with_row_index().filter(pl.struct(key).hash().is_duplicated())
    contradicting = pl.col("latency_us").n_unique().over(key) > 1
    again = ~pl.struct(*key, "latency_us").is_first_distinct()
    rule = (
        pl.when(contradicting).then(pl.lit("contradicting_duplicate")).when(again).then(pl.lit("duplicate"))
    )
    none = pl.repeat(None, rows.height, dtype=pl.String, eager=True)
    return none.scatter(suspects["index"], suspects.select(rule).to_series())
