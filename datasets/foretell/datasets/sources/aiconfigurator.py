"""Tables of NVIDIA's aiconfigurator (Apache-2.0): means of CUDA-graph replays, in milliseconds.

Products, attention, mixtures of experts and collectives, some with the mean power in watts; `aic_forms` says
where the tables lie and what their columns mean. The kernel that ran is not kept: nobody knows it before the
call.
"""

import itertools
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from foretell.datasets.collectors.base import Availability
from foretell.datasets.device import DeviceFigures, device
from foretell.datasets.kernel import TABLE, Kernel
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import own_fields
from foretell.datasets.sources.aic_files import check_dtypes, check_readable, installed, placed
from foretell.datasets.sources.aic_forms import FORMS, Form
from foretell.datasets.sources.base import Batch, Note, merged, split
from foretell.datasets.sources.clock import coarse_clock
from foretell.datasets.sources.copies import copy_rule, find_copies, table_name
from foretell.datasets.sources.files import read_columns
from foretell.datasets.sources.modes import two_modes
from foretell.datasets.sources.repeats import remeasured, repeated
from foretell.datasets.sources.throttle import throttled
from foretell.datasets.validate import validate
from foretell.errors import InputError, UnavailableError

ONE_FILE: Final = "aic_gemm.parquet"
"""The file of all GEMM tables without power."""
MISSING: Final = "holds neither aic_*.parquet nor <system>/<family>/<backend>/<version>/*_perf.parquet"
HELPERS: Final = ("measured_on", "own", "beam_width")
"""Columns beside those of `Kernel`, for the rules."""


class Aiconfigurator:
    """Rows of the kind `kernel` from aiconfigurator's tables.

    Rejected are, by rule: ``measured_on:<device>`` (the file names another device than its folder),
    ``beam_width`` (a search over several beams, which is no field here), ``duplicate`` and
    ``contradicting_duplicate`` (see `repeats`), ``copy_of:<table>``, and what `Kernel` asks for, such as a
    power that is not positive.

    Of tables that are copies of one another the one is kept that names its folder's version, if the others
    name another than theirs. Where nothing tells them apart all are rejected, because a model would take one
    device's times for another's; `keep` then accepts one of them. Contradictions are mostly two kernels for
    one shape: nobody knows before the call which of them will run.

    Notes say of tables that were accepted: ``repeats``, ``two_modes``, ``throttled``, ``coarse_clock``,
    ``restated``.
    """

    kind: ClassVar[str] = "kernel"

    def __init__(
        self, path: Path | None = None, *, devices: pl.DataFrame | None = None, keep: tuple[str, ...] = ()
    ) -> None:
        """Store the options.

        Args:
            path: folder, or one file; null for the installed package.
            devices: devices that foretell does not know, from `read_devices`; aliases name their systems.
            keep: tables, as ``device/dtype/backend/version``, to accept although they have copies.
        """
        self.path = path
        self.devices = devices
        self.keep = keep

    def available(self) -> Availability:
        """Whether the tables are here."""
        if any(self._files(form) for form in FORMS):
            return Availability(ok=True)
        if self.path is None:
            return Availability(ok=False, reason="pip install 'foretell[aiconfigurator]', or name a folder")
        if not self.path.exists():
            return Availability(ok=False, reason=f"{self.path} is not there")
        return Availability(ok=False, reason=f"{self.path} {MISSING}")

    def batches(self) -> Iterator[Batch]:
        """The rows of each form and system.

        Raises:
            UnavailableError: no tables here.
            InputError: a system or data type without a name here, unknown or missing columns, a file that can
                not be read, or a table in `keep` that was not read. Of damaged files nothing is given before.
        """
        available = self.available()
        if not available:
            raise UnavailableError(f"aiconfigurator: {available.reason}")
        forms = [(form, files) for form in FORMS if (files := self._files(form))]
        for path in itertools.chain.from_iterable(files for _, files in forms):
            check_readable(path)
        kept: set[str] = set()
        for form, files in forms:
            rows = pl.concat([self._kernels(form, path) for path in files])
            kept.update(rows.select(table_name(TABLE)).to_series().unique())
            yield from self._checked(form, rows)
        self._check_known(kept)

    def read(self) -> Batch:
        """All of `batches` at once."""
        return merged(self.batches())

    def _files(self, form: Form) -> list[Path]:
        folder = self.path or installed()
        if folder is None or not folder.exists():
            return []
        if folder.is_file():
            named = any(fnmatch(folder.name, Path(pattern).name) for pattern in form.files)
            return [folder] if named else []
        return sorted({path for pattern in form.files for path in folder.glob(pattern)})

    def _kernels(self, form: Form, path: Path) -> pl.DataFrame:
        """One file in the columns of `Kernel` that its operator has, and in `HELPERS`."""
        published = placed(read_columns(path, form.layout), path)
        check_dtypes(path, published, form.columns["dtype"])
        names = {system: self._device(system).name for system in published["system"].unique()}
        on = {name: self._device(name).name for name in published["device"].unique() if name}
        rows = published.select(
            pl.lit(form.operator).alias("operator"),
            *(column.alias(name) for name, column in form.columns.items()),
            pl.col("system").replace_strict(names, return_dtype=pl.String).alias("device"),
            form.backend.alias("backend"),
            pl.col("folder_version").alias("backend_version"),
            pl.lit("ok").alias("status"),
            (pl.col("latency") * 1000).alias("latency_us"),
            pl.col("power").alias("power_w"),
            pl.col("power_limit").alias("power_limit_w"),
            (pl.col("power") * pl.col("latency")).alias("energy_mj"),
            pl.when(pl.col("power").is_null()).then(pl.lit("not published")).alias("energy_reason"),
            pl.concat_str(
                pl.lit("aiconfigurator"), "system", "folder", "folder_version", separator="/"
            ).alias("origin"),
            pl.col("device").replace_strict(on, default=None, return_dtype=pl.String).alias("measured_on"),
            (pl.col("version") == pl.col("folder_version")).alias("own"),
            "beam_width",
            *([form.beyond[0].fill_null(value=False).alias("beyond")] if form.beyond else []),
        )
        return rows.with_columns(
            measured_on=pl.when(pl.col("measured_on") != pl.col("device")).then("measured_on")
        )

    def _device(self, system: str) -> DeviceFigures:
        try:
            return device(system, self.devices)
        except InputError as error:
            expected = f"a described device (give others, with this alias, as `devices`): {error.expected}"
            raise InputError("system", system, expected) from error

    def _checked(self, form: Form, rows: pl.DataFrame) -> Iterator[Batch]:
        """Batches by device; what was found in the tables of a form goes with the first."""
        fields = (*TABLE, *own_fields(OPERATORS[form.operator]))
        kept, refused = split(
            rows,
            pl.concat_str(pl.lit("measured_on:"), "measured_on"),
            pl.when(pl.col("beam_width") != 1).then(pl.lit("beam_width")),
            self._copied(rows, fields),
            repeated(rows, fields, "latency_us"),
        )
        notes = self._notes(form, kept, fields)
        helpers = [name for name in (*HELPERS, "beyond") if name in rows.columns]
        for name in sorted(rows["device"].unique()) or [""]:
            here = pl.col("device") == name
            valid, broken = validate(kept.filter(here).drop(helpers), Kernel)
            rejected = [refused.filter(here).drop(helpers), broken]
            yield Batch(valid, pl.concat(rejected, how="diagonal_relaxed"), notes)
            notes = ()

    def _notes(self, form: Form, rows: pl.DataFrame, fields: tuple[str, ...]) -> tuple[Note, ...]:
        site = [name for name in fields if name not in (*form.table, form.along)]
        notes = remeasured(rows, fields, form.table, "latency_us")
        notes += two_modes(rows, form.table, site, form.along)
        notes += coarse_clock(rows, form.table, "latency_us")
        if form.operations is not None:
            devices = {name: self._device(name) for name in rows["device"].unique()}
            notes += throttled(rows.with_columns(operations=form.operations), form.table, devices)
        if form.beyond and (count := rows["beyond"].sum()):
            notes.append(Note("restated", form.operator, f"{count} rows have {form.beyond[1]}"))
        return tuple(notes)

    def _copied(self, rows: pl.DataFrame, fields: tuple[str, ...]) -> pl.Expr:
        """The rule ``copy_of:<table>`` in each row of a copy, but the original and what is in `keep`."""
        # A copy that says so itself leaves the other as the measurement.
        unsaid = rows.filter(pl.col("measured_on").is_null())
        copies = find_copies(unsaid, TABLE, (*fields[len(TABLE) :], "latency_us"))
        self._check_keep(set(copies.select("table", "copy_of").iter_rows()))
        own = rows.group_by(table_name(TABLE)).agg(pl.col("own").fill_null(value=False).all())
        says = dict(own.iter_rows())
        originals = {
            name
            for name, others in copies.group_by("table").agg("copy_of").iter_rows()
            if says[name] and not any(says[other] for other in others)
        }
        return copy_rule(copies.filter(~pl.col("table").is_in([*self.keep, *originals])), TABLE)

    def _check_keep(self, copies: set[tuple[str, str]]) -> None:
        for pair in itertools.combinations(self.keep, 2):
            if pair in copies:
                raise InputError("keep", pair, "only one of them, they are copies")

    def _check_known(self, known: set[str]) -> None:
        for name in self.keep:
            if name not in known:
                raise InputError("keep", name, f"a table that was read, such as {min(known, default=None)}")
