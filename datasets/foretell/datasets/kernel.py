"""The kind `kernel`: one operator of one shape on one device, and how long it took.

A row is keyed by what was run and when. It has a value in each field of its operator and none in
those of the others; what the fields may hold is said once, in the queries of `foretell.datasets.operators`.
"""

from collections.abc import Iterator
from types import new_class
from typing import Any, Final

import dataframely as dy
import polars as pl
from msgspec.inspect import Field, IntType, LiteralType, StrType

from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import Check, own_fields

VERSION: Final = 1
STATUSES: Final = ("ok", "failed")
TABLE: Final = ("device", "dtype", "backend", "backend_version")
"""Columns that name one table of measurements, beside the operator's own: one library version's kernels on
one device."""


def table_of(operator: str) -> tuple[str, ...]:
    """All columns that name one table of an operator's measurements."""
    return (*TABLE, *OPERATORS[operator].table)


def _column(field: Field) -> dy.Column:
    """The column of one field; null for other operators."""
    kind = field.type
    if isinstance(kind, IntType):
        return dy.Int64(nullable=True, min=kind.ge, max=kind.le)
    if isinstance(kind, LiteralType):
        return dy.String(nullable=True, check=lambda column: column.is_in(list(kind.values)))
    if isinstance(kind, StrType):
        return dy.String(nullable=True, regex=kind.pattern)
    raise TypeError(f"no column for the field {field.name} of {kind}")


FIELDS: Final = {name: field for query in OPERATORS.values() for name, field in own_fields(query).items()}
"""The fields of all operators; those of one name are of one type."""


def _rules() -> Iterator[tuple[str, Any]]:
    """One rule for each check of each operator, named after the field that it blames."""
    for operator, query in OPERATORS.items():
        for check in query.checks:
            yield f"{operator}_{check.field}", _rule(operator, check)


def _rule(operator: str, check: Check) -> Any:
    @dy.rule()
    def rule(cls: type[dy.Schema]) -> pl.Expr:
        holds: pl.Expr = check.holds(pl.col)
        return (pl.col("operator") != operator) | holds

    return rule


def _members(namespace: dict[str, Any]) -> None:
    namespace["operator"] = dy.String(check=lambda column: column.is_in(list(OPERATORS)))
    namespace.update({name: _column(field) for name, field in FIELDS.items()})
    namespace.update(_rules())


_Operators: Any = new_class("_Operators", (dy.Schema,), exec_body=_members)


class Kernel(_Operators):  # type: ignore[misc]
    """Measured kernels. Units are in the names; a null says that the value was not measured."""

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

    @dy.rule()
    def fields_of_its_operator(cls) -> pl.Expr:
        """Neither is a field of the operator null, nor has one of another operator a value."""
        return pl.all_horizontal(pl.col(name).is_not_null() == _has(name) for name in FIELDS)


def _has(name: str) -> pl.Expr:
    """Whether a row's operator has the field."""
    return pl.col("operator").is_in(
        [operator for operator, query in OPERATORS.items() if name in own_fields(query)]
    )
