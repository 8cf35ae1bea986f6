"""The kind `network`: one architecture of a search space on one device, and how long it took."""

from typing import Annotated, Final

import dataframely as dy
import msgspec
import polars as pl

from foretell.datasets.spaces import SPACES

VERSION: Final = 1
STATUSES: Final = ("ok", "failed")
MAX_TEXT: Final = 400
"""Longest architecture taken, in characters: twice the longest of any space."""

Architecture = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


class NetworkQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of an adapted device: one architecture, written as its space writes it."""

    architecture: Architecture


class NetworkRow(dy.Schema):
    """Measured networks. Units are in the names; a null says that the value was not measured."""

    space = dy.String(check=lambda column: column.is_in(list(SPACES)))
    architecture = dy.String(min_length=1, max_length=MAX_TEXT)
    device = dy.String(min_length=1, max_length=64)
    status = dy.String(check=lambda column: column.is_in(STATUSES))
    reason = dy.String(nullable=True, description="why a case failed")
    latency_ms = dy.Float64(nullable=True, min_exclusive=0.0, max=1e8)
    energy_mj = dy.Float64(nullable=True, min_exclusive=0.0)
    energy_reason = dy.String(nullable=True, description="why energy is null")
    measured_at = dy.Datetime(nullable=True, time_unit="us", time_zone="UTC")
    origin = dy.String(min_length=1, description="collector host or published table")

    @dy.rule()
    def ok_rows_have_a_latency(cls) -> pl.Expr:
        """A case that ran has a finite time; one that failed has none and says why."""
        finite = pl.col("latency_ms").is_finite().fill_null(value=False)
        failed = pl.col("latency_ms").is_null() & pl.col("reason").is_not_null()
        return pl.when(pl.col("status") == "ok").then(finite).otherwise(failed)

    @dy.rule()
    def missing_energy_is_explained(cls) -> pl.Expr:
        """A null energy says why, so that nobody reads it as zero."""
        return pl.col("energy_mj").is_not_null() | pl.col("energy_reason").is_not_null()
