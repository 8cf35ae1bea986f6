"""A frame checked against a query struct, column by column."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from msgspec.inspect import IntType, LiteralType, NoneType, StrType

from foretell.errors import InputError
from foretell.features.base import Columns
from foretell.features.fields import alternatives, fields_of, words


def query_columns(rows: pl.DataFrame, query: type[msgspec.Struct]) -> Columns:
    """The columns of a query, validated: integers as arrays, the rest as lists.

    Raises:
        InputError: an empty frame, a column that is missing or not part of the query, or the first value
            that does not fit.
    """
    fields = fields_of(query)
    if unknown := sorted(set(rows.columns) - set(fields)):
        raise InputError(unknown[0], "a column of that name", f"only the columns {', '.join(fields)}")
    if not rows.height:
        raise InputError("rows", [], "at least one row")
    columns: dict[str, Any] = {}
    for name, field in fields.items():
        if name in rows.columns:
            columns[name] = _column(rows[name], alternatives(field.type))
        elif field.required:
            raise InputError(name, None, "a column of that name")
        else:
            columns[name] = [field.default] * rows.height
    return columns


def _column(values: pl.Series, kinds: tuple[msgspec.inspect.Type, ...]) -> Any:
    nullable = any(isinstance(kind, NoneType) for kind in kinds)
    kind = next(kind for kind in kinds if not isinstance(kind, NoneType))
    if values.null_count() and not nullable:
        raise InputError(f"rows[{values.is_null().arg_max()}].{values.name}", None, words(kind))
    return _integers(values, kind) if isinstance(kind, IntType) else _strings(values, kind)


def _integers(values: pl.Series, kind: IntType) -> Any:
    if not values.dtype.is_integer():
        raise InputError(values.name, f"values of type {values.dtype}", words(kind))
    # In Polars, which also has integers that NumPy has no type for.
    _first(values, (~values.cast(pl.Int128).is_between(kind.ge, kind.le)).to_numpy(), kind)
    return values.cast(pl.Float64).to_numpy()


def _strings(values: pl.Series, kind: msgspec.inspect.Type) -> list[str | None]:
    if values.dtype == pl.Null:
        return [None] * len(values)
    if not isinstance(values.dtype, pl.String | pl.Categorical | pl.Enum):
        raise InputError(values.name, f"values of type {values.dtype}", words(kind))
    text = values.cast(pl.String)
    if isinstance(kind, LiteralType):
        _first(values, (~text.is_in(list(kind.values))).to_numpy(), kind)
    if isinstance(kind, StrType):
        length = text.str.len_chars().fill_null(kind.min_length or 0).to_numpy()
        _first(values, (length < (kind.min_length or 0)) | (length > (kind.max_length or length.max())), kind)
        if kind.pattern is not None:
            _first(values, (~text.str.contains(kind.pattern).fill_null(value=True)).to_numpy(), kind)
    return text.to_list()


def _first(values: pl.Series, wrong: npt.NDArray[np.bool_], kind: msgspec.inspect.Type) -> None:
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"rows[{row}].{values.name}", values[row], words(kind))
