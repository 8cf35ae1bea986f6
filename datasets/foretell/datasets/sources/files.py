"""Published tables as frames: the columns that a source knows, in Polars' own types, or a refusal by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import polars as pl

from foretell.errors import InputError

Kind = Literal["integer", "number", "text", "flag"]
TYPES: Final[dict[Kind, type[pl.DataType]]] = {
    "integer": pl.Int64, "number": pl.Float64, "text": pl.String, "flag": pl.Boolean,
}  # fmt: skip
COMMA_SEPARATED: Final = (".csv", ".txt")


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a published table.

    Attributes:
        needed: name to kind of its values.
        optional: likewise; null in files without them.
        ignored: columns that are known and say nothing that is kept.
    """

    needed: Mapping[str, Kind]
    optional: Mapping[str, Kind] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


def read_columns(path: Path, layout: Layout) -> pl.DataFrame:
    """The needed and optional columns of a Parquet or comma-separated file.

    Raises:
        InputError: a file that cannot be read, a column that is missing, unknown or of another kind.
    """
    raw = _read(path)
    kinds = {**layout.needed, **layout.optional}
    missing = sorted(set(layout.needed) - set(raw.columns))
    unknown = sorted(set(raw.columns) - set(kinds) - layout.ignored)
    for name in missing or unknown:
        found = "no such column" if missing else "this column"
        raise InputError(f"{path.name}: {name}", found, f"the columns {', '.join(sorted(kinds))}")
    return pl.DataFrame([_column(path, raw, name, kind) for name, kind in kinds.items()])


def _read(path: Path) -> pl.DataFrame:
    comma_separated = path.suffix in COMMA_SEPARATED
    try:
        return pl.read_csv(path, infer_schema_length=None) if comma_separated else pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        form = "comma-separated" if comma_separated else "Parquet"
        raise InputError("path", str(path), f"a readable {form} file ({error})") from error


def _column(path: Path, raw: pl.DataFrame, name: str, kind: Kind) -> pl.Series:
    if name not in raw.columns:
        return pl.Series(name, [None] * raw.height, dtype=TYPES[kind])
    if not _fits(raw[name].dtype, kind):
        raise InputError(f"{path.name}: {name}", raw[name].dtype, f"values that are each a {kind}, or null")
    return raw[name].cast(TYPES[kind])


def _fits(dtype: pl.DataType, kind: Kind) -> bool:
    return (
        dtype == pl.Null
        or {
            "integer": dtype.is_integer(),
            "number": dtype.is_numeric(),
            "text": isinstance(dtype, pl.String | pl.Categorical | pl.Enum),
            "flag": dtype == pl.Boolean,
        }[kind]
    )
