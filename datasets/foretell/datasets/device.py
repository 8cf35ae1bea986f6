"""The kind `device`: what the vendor publishes, so that hardware nobody measured is still an input.

Rates are dense (no structured sparsity) and those of the matrix units where a device has them, with one
exception: float32 on NVIDIA is the plain vector rate, its matrix units take tf32 instead. The last-level
cache is the L2 on NVIDIA, Intel and the older AMD devices and the Infinity Cache from MI300X on. Cores are
streaming multiprocessors, compute units, Xe cores or usable logical CPUs. The interconnect is all NVLink or
Infinity Fabric links of one device, or else its PCI Express bus, both directions together.
"""

import difflib
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import dataframely as dy
import msgspec
import polars as pl

from foretell.datasets.described import FORMATS, checked, parse, read_numbers
from foretell.datasets.dtypes import DTYPES
from foretell.errors import InputError, one_of

VERSION: Final = 1
KINDS: Final = ("gpu", "cpu")
MAKERS: Final = frozenset({"nvidia", "tesla", "geforce", "amd", "instinct", "intel", "r", "tm"})
"""Words of product names that tell no device from another."""


class Device(dy.Schema):
    """Figures of one device; a null says that it has no such thing or that nobody publishes it."""

    name = dy.String(primary_key=True, max_length=64, regex=r"^[a-z0-9]+(_[a-z0-9]+)*$")
    vendor = dy.String(nullable=True)
    model = dy.String(nullable=True, description="full product name")
    family = dy.String(nullable=True, description="architecture, such as hopper or cdna3")
    kind = dy.String(check=lambda c: c.is_in(KINDS))
    aliases = dy.String(nullable=True, description="other names in use, separated by semicolons")
    memory_gb = dy.Float64(min_exclusive=0.0)
    memory_bandwidth_gb_s = dy.Float64(min_exclusive=0.0)
    last_level_cache_mb = dy.Float64(min_exclusive=0.0)
    l1_kb = dy.Float64(nullable=True, min_exclusive=0.0, description="first-level cache of one core")
    cores = dy.Int64(min=1)
    clock_mhz = dy.Float64(min_exclusive=0.0, description="boost clock")
    power_limit_w = dy.Float64(nullable=True, min_exclusive=0.0)
    interconnect_gb_s = dy.Float64(nullable=True, min_exclusive=0.0, description="both directions")
    peak_float64_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_float32_tflops = dy.Float64(min_exclusive=0.0)
    peak_tf32_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_float16_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_bfloat16_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_fp8_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_fp4_tflops = dy.Float64(nullable=True, min_exclusive=0.0)
    peak_int8_tflops = dy.Float64(nullable=True, min_exclusive=0.0, description="TOPS")
    source = dy.String(min_length=1, description="the vendor's document, and what was derived")


Positive = Annotated[float, msgspec.Meta(gt=0)]


class DeviceFigures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of `Device`; units are in the names."""

    name: str
    kind: str
    memory_gb: Positive
    memory_bandwidth_gb_s: Positive
    last_level_cache_mb: Positive
    cores: int
    clock_mhz: Positive
    peak_float32_tflops: Positive
    source: str
    vendor: str | None = None
    model: str | None = None
    family: str | None = None
    aliases: str | None = None
    l1_kb: Positive | None = None
    power_limit_w: Positive | None = None
    peak_float64_tflops: Positive | None = None
    peak_tf32_tflops: Positive | None = None
    peak_float16_tflops: Positive | None = None
    peak_bfloat16_tflops: Positive | None = None
    peak_fp8_tflops: Positive | None = None
    peak_fp4_tflops: Positive | None = None
    peak_int8_tflops: Positive | None = None
    interconnect_gb_s: Positive | None = None

    def peak_flops(self, dtype: str) -> float:
        """Peak rate for products in `dtype`, FLOP/s, or OP/s for integers.

        Raises:
            InputError: an unknown `dtype`, or one without any published rate that bounds it here.
        """
        if dtype not in DTYPES:
            raise InputError("dtype", dtype, one_of(DTYPES))
        rates = DTYPES[dtype].rates
        published = (getattr(self, f"peak_{rate}_tflops") for rate in rates)
        best = next((rate for rate in published if rate is not None), None)
        if best is None:
            raise InputError("dtype", dtype, f"a type that {self.name} has a rate for, {one_of(rates)}")
        return float(best) * 1e12


@cache
def devices() -> pl.DataFrame:
    """The published devices, as validated rows of `Device`."""
    table = files(__package__) / "devices.csv"
    return checked(read_numbers(parse(table.read_bytes(), "csv"), Device), Device)


def read_devices(path: Path) -> pl.DataFrame:
    """A user's own devices from CSV, JSON (one object or a list of them) or Parquet, told by the suffix.

    Needed are the columns that `Device` does not let be null; `source` is the name of the file if absent.

    Raises:
        InputError: names the file, column or value that does not fit.
    """
    form = path.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise InputError("path", str(path), f"a file whose name ends in {one_of(f'.{f}' for f in FORMATS)}")
    try:
        rows = parse(path.read_bytes(), form)
    except OSError as error:
        raise InputError("path", str(path), f"a readable file ({error.strerror})") from error
    rows = read_numbers(rows, Device) if form == "csv" else rows
    if "source" not in rows.columns:
        rows = rows.with_columns(source=pl.lit(f"described in {path.name}"))
    return checked(rows, Device)


def device(name: str, extra: pl.DataFrame | None = None) -> DeviceFigures:
    """Figures of one device by name, alias or product name, in any case.

    Args:
        name: such as ``h200``, ``NVIDIA H200`` or ``h200_sxm``. A name that fits several devices, such as
            ``a100``, is refused: which one was meant changes the answer.
        extra: rows of `Device` that the published table lacks, from `read_devices` or `this_cpu`.

    Raises:
        InputError: a name that no device or several devices go by, or an `extra` row under a name in use.
    """
    known = _published() if extra is None else _index(pl.concat([devices(), checked(extra, Device)]))
    found = known.get(name) or known.get(slug(name))
    if found is None:
        raise InputError("device", name, _expected(slug(name), known))
    return found


def slug(name: str) -> str:
    """A product name without the words that tell nothing apart: NVIDIA A100-SXM4-80GB: a100_sxm4_80gb."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "_".join(word for word in words if word not in MAKERS)


@cache
def _published() -> dict[str, DeviceFigures]:
    return _index(devices())


def _index(table: pl.DataFrame) -> dict[str, DeviceFigures]:
    """Devices by each name that they go by."""
    index: dict[str, DeviceFigures] = {}
    for row in table.iter_rows(named=True):
        figures = msgspec.convert(row, DeviceFigures)
        for alias in {figures.name, *filter(None, (figures.aliases or "").split(";"))}:
            if alias in index:
                raise InputError("name", alias, f"a name that {index[alias].name} does not go by already")
            index[alias] = figures
    return index


def _expected(name: str, known: dict[str, DeviceFigures]) -> str:
    """What could have been meant, nearest names first."""
    variants = sorted({figures.name for alias, figures in known.items() if alias.startswith(f"{name}_")})
    if len(variants) > 1:
        return "an exact device: " + one_of(variants)
    close = [known[alias].name for alias in difflib.get_close_matches(name, known, n=5)]
    names = dict.fromkeys([*variants, *close, *sorted({figures.name for figures in known.values()})])
    return "one of " + ", ".join(names)
