"""What the fields of an operator may hold, and how its values must go together."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, Final, NamedTuple, cast

import msgspec
import polars as pl
from msgspec.inspect import IntType, StructType, type_info

from foretell.datasets.dtypes import DtypeName
from foretell.errors import InputError

MAX_DIMENSION: Final = 2**24
"""Largest dimension taken for a size rather than a slip: 50 times the largest vocabulary."""

Dimension = Annotated[int, msgspec.Meta(ge=1, le=MAX_DIMENSION)]
Amount = Annotated[int, msgspec.Meta(ge=0, le=MAX_DIMENSION)]
"""What an operator may do without, such as padding."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Check(NamedTuple):
    """Something that the fields of one operator must fulfil together.

    Attributes:
        field: the one to blame.
        holds: true where it is fulfilled; takes a query, or `pl.col`, and gives a bool, or an expression. It
            joins conditions by ``&`` and ``|``, which both understand.
        expected: what `field` should have been.
    """

    field: str
    holds: Callable[[Any], Any]
    expected: str


class Placed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the questions about all operators say at their end: in which data type, and where.

    Without a backend the answer spans the backends that were measured, and its interval says so.
    """

    checks: ClassVar[tuple[Check, ...]] = ()
    table: ClassVar[tuple[str, ...]] = ()
    """Columns that name a table of measurements, beside those that all operators have."""
    site: ClassVar[tuple[str, ...]]
    """Columns that name what users bring anew, such as a weight matrix: no split tears one apart."""

    dtype: DtypeName
    device: Name
    backend: Name | None = None
    backend_version: Name | None = None


class Checked(Placed, frozen=True):
    """The question about an operator with `checks`."""

    def __post_init__(self) -> None:
        for check in self.checks:
            if not check.holds(self):
                raise InputError(check.field, getattr(self, check.field), check.expected)


@cache
def own_fields(query: type[Placed]) -> dict[str, msgspec.inspect.Field]:
    """The fields of an operator without those of `Placed`, by name."""
    fields = cast("StructType", type_info(query)).fields
    return {field.name: field for field in fields if field.name not in Placed.__struct_fields__}


def numbers_of(query: type[Placed]) -> tuple[str, ...]:
    """Names of the fields that hold numbers."""
    return tuple(name for name, field in own_fields(query).items() if isinstance(field.type, IntType))


def check_rows(rows: pl.DataFrame, checks: Sequence[Check]) -> None:
    """Refuse rows, each field of which is valid by itself, if one breaks a check.

    Raises:
        InputError: names the row and the field.
    """
    for check in checks:
        broken = rows.select(~check.holds(pl.col)).to_series().arg_true()
        if len(broken):
            value = rows[check.field][broken[0]]
            raise InputError(f"rows[{broken[0]}].{check.field}", value, check.expected)
