"""The kind `kernel`: one operator of one shape on one device, and how long it took.

A row is keyed by what was run and when; `group` columns name what a split must not tear apart.
"""

from typing import Annotated, Final

import dataframely as dy
import msgspec
import polars as pl

from foretell.datasets.dtypes import DTYPES, DtypeName

VERSION: Final = 1
OPERATORS: Final = ("gemm",)
STATUSES: Final = ("ok", "failed")
MAX_DIMENSION: Final = 2**24
"""Largest m, n or k taken for a shape rather than a slip: 50 times the largest vocabulary."""

Dimension = Annotated[int, msgspec.Meta(ge=1, le=MAX_DIMENSION)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class GemmQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of `gemm.latency`: C[m, n] = A[m, k] B[k, n] in one data type on one device.

    Without a backend the answer spans the backends that were measured, and its interval says so.
    """

    m: Dimension
    n: Dimension
    k: Dimension
    dtype: DtypeName
    device: Name
    backend: Name | None = None
    backend_version: Name | None = None


class Kernel(dy.Schema):
    """Measured kernels. Units are in the names; a null says that the value was not measured."""

    operator = dy.String(check=lambda c: c.is_in(OPERATORS))
    m = dy.Int64(min=1, max=MAX_DIMENSION)
    n = dy.Int64(min=1, max=MAX_DIMENSION)
    k = dy.Int64(min=1, max=MAX_DIMENSION)
    dtype = dy.String(check=lambda c: c.is_in(list(DTYPES)))
    device = dy.String(min_length=1, max_length=64)
    backend = dy.String(min_length=1, max_length=64)
    backend_version = dy.String(min_length=1, max_length=64)
    status = dy.String(check=lambda c: c.is_in(STATUSES))
    reason = dy.String(nullable=True, description="why a case failed")
    latency_us = dy.Float64(nullable=True, min_exclusive=0.0, max=1e10)
    latency_spread = dy.Float64(nullable=True, min=0.0, description="interquartile range / median")
    repeats = dy.Int64(nullable=True, min=1)
    power_w = dy.Float64(nullable=True, min_exclusive=0.0, max=1e5)
    power_limit_w = dy.Float64(nullable=True, min_exclusive=0.0, max=1e5)
    energy_mj = dy.Float64(nullable=True, min_exclusive=0.0)
    energy_reason = dy.String(nullable=True, description="why energy is null")
    load_1m = dy.Float64(nullable=True, min=0.0, description="host load average when measured")
    measured_at = dy.Datetime(nullable=True, time_unit="us", time_zone="UTC")
    origin = dy.String(min_length=1, description="collector host or published table")

    @dy.rule()
    def ok_rows_have_a_latency(cls) -> pl.Expr:
        """A case that ran has a finite time; one that failed has none and says why."""
        finite = pl.col("latency_us").is_finite().fill_null(value=False)
        failed = pl.col("latency_us").is_null() & pl.col("reason").is_not_null()
        return pl.when(pl.col("status") == "ok").then(finite).otherwise(failed)

    @dy.rule()
    def missing_energy_is_explained(cls) -> pl.Expr:
        """A null energy says why, so that nobody reads it as zero."""
        return pl.col("energy_mj").is_not_null() | pl.col("energy_reason").is_not_null()


TABLE: Final = ("device", "dtype", "backend", "backend_version")
"""Columns that name one table of measurements: one library version's kernels on one device."""
SITE: Final = ("n", "k")
"""Columns that name one weight matrix: users bring new ones, each with many m."""
