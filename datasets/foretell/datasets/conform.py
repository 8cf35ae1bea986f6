"""Fit a frame to the columns of a kind: nothing guessed, nothing lost on the way."""

import dataframely as dy
import polars as pl

from foretell.errors import InputError, one_of


def conform(rows: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """`rows` in the columns, order and types of `schema`; nullable columns may be absent.

    Values are only converted where converting them back gives the same value: int32 to int64 always,
    4.0 to an integer, but neither 4.5 nor "4".

    Raises:
        InputError: names the column that is unknown, missing or of another type, or the value that
            does not fit.
    """
    columns = schema.columns()
    for name in rows.columns:
        if name not in columns:
            raise InputError(name, rows[name].dtype, one_of(columns))
    return pl.DataFrame([_column(rows, name, column) for name, column in columns.items()])


def _column(rows: pl.DataFrame, name: str, column: dy.Column) -> pl.Series:
    if name in rows.columns:
        return _cast(rows[name], column.dtype)
    if not column.nullable:
        raise InputError(name, "no such column", f"a column of {column.dtype}")
    return pl.Series(name, [None] * rows.height, dtype=column.dtype)


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    if values.dtype == dtype:
        return values
    if not _same_family(values.dtype, dtype):
        raise InputError(values.name, values.dtype, f"values of {dtype}")
    cast = values.cast(dtype, strict=False)
    changed = cast.cast(values.dtype, strict=False).ne_missing(values).arg_true()
    if len(changed):
        row = changed[0]
        raise InputError(f"rows[{row}].{values.name}", values[row], f"a value that {dtype} can hold")
    return cast


def _same_family(found: pl.DataType, wanted: pl.DataType) -> bool:
    """Whether the values of two types mean the same; text is no number, and a local time no instant."""
    if found == pl.Null:
        return True
    if isinstance(found, pl.Datetime) and isinstance(wanted, pl.Datetime):
        return (found.time_zone is None) == (wanted.time_zone is None)
    if isinstance(found, pl.Categorical | pl.Enum):
        return wanted == pl.String
    return found.is_numeric() and wanted.is_numeric()
