"""What the fields of a query may hold, in words for whoever got one wrong."""

from functools import cache
from typing import Any, cast, get_type_hints

import msgspec
import numpy as np
from msgspec.inspect import (
    Field,
    IntType,
    LiteralType,
    NoneType,
    StrType,
    StructType,
    Type,
    UnionType,
    type_info,
)

from foretell.errors import InputError, one_of


@cache
def fields_of(query: type[msgspec.Struct]) -> dict[str, Field]:
    """The fields of a query, by name."""
    return {field.name: field for field in cast("StructType", type_info(query)).fields}


def alternatives(kind: Type) -> tuple[Type, ...]:
    """The types of a union, or the one type."""
    return kind.types if isinstance(kind, UnionType) else (kind,)


def words(kind: Type) -> str:
    """What a value of this type looks like."""
    if isinstance(kind, IntType):
        return f"an integer from {kind.ge} to {kind.le}"
    if isinstance(kind, LiteralType):
        return one_of(map(str, kind.values))
    if isinstance(kind, NoneType):
        return "nothing"
    if isinstance(kind, UnionType):
        return " or ".join(map(words, kind.types))
    text = cast("StrType", kind)
    if text.pattern is not None:
        return f"a text that matches {text.pattern}"
    return f"a text of {text.min_length} to {text.max_length} characters"


def to_query(row: Any, query: type[msgspec.Struct], path: str = "") -> Any:
    """A validated query struct from a plain mapping.

    Args:
        row: field names to values.
        query: the struct.
        path: where the row stands, such as ``rows[3]``; part of the error.

    Raises:
        InputError: the first field that is unknown, missing or does not fit.
    """
    try:
        return msgspec.convert(row, query)
    except msgspec.ValidationError:
        if isinstance(row, dict) and any(isinstance(value, np.integer) for value in row.values()):
            return to_query({name: _plain(value) for name, value in row.items()}, query, path)
        raise _explained(row, query, path) from None
    except InputError as error:  # fields that do not go together
        field = f"{path}.{error.field}" if path else error.field
        raise InputError(field, row.get(error.field), error.expected) from None


def _plain(value: Any) -> Any:
    """NumPy's integers as Python's, which is all that a query struct takes."""
    return int(value) if isinstance(value, np.integer) else value


def _explained(row: Any, query: type[msgspec.Struct], path: str) -> InputError:
    """Which field it was: looked at one by one, because messages are for people."""
    fields = fields_of(query)
    if not isinstance(row, dict):
        return InputError(path or "row", row, f"an object with the fields {', '.join(fields)}")
    prefix = f"{path}." if path else ""
    for name, value in row.items():
        if name not in fields:
            return InputError(f"{prefix}{name}", value, f"only the fields {', '.join(fields)}")
    hints = get_type_hints(query, include_extras=True)
    for name, field in fields.items():
        if name in row:
            try:
                msgspec.convert(row[name], hints[name])
            except msgspec.ValidationError:
                return InputError(f"{prefix}{name}", row[name], words(field.type))
        elif field.required:
            return InputError(f"{prefix}{name}", None, words(field.type))
    return InputError(path or "row", row, f"an object with the fields {', '.join(fields)}")
