"""Read rows that a person wrote down: CSV, JSON or Parquet, refused with the place where they do not fit."""

import io
from typing import Final

import dataframely as dy
import msgspec
import polars as pl

from foretell.datasets.conform import conform
from foretell.errors import InputError, one_of

FORMATS: Final = ("csv", "json", "parquet")
EXPECTED: Final = {
    "nullability": "a value",
    "nan": "a finite number",
    "inf": "a finite number",
    "min_exclusive": "a positive number",
    "min": "a positive number",
    "regex": "lower-case letters, digits and single underscores",
    "primary_key": "one row for each name",
}
"""What a rule of a schema asks for, in words, by the last part of its name."""


def parse(content: bytes, form: str) -> pl.DataFrame:
    """Rows of a file in one of `FORMATS`; a CSV holds text, `read_numbers` makes numbers of it.

    Raises:
        InputError: an unknown format, or content that is not in it.
    """
    if form not in FORMATS:
        raise InputError("format", form, one_of(FORMATS))
    try:
        if form == "csv":
            return pl.read_csv(io.BytesIO(content), infer_schema=False)
        if form == "parquet":
            return pl.read_parquet(io.BytesIO(content))
        return _records(content)
    except (pl.exceptions.PolarsError, msgspec.DecodeError) as error:
        raise InputError("file", str(error), f"readable {form}") from error


def _records(content: bytes) -> pl.DataFrame:
    """JSON: one object or a list of them."""
    records = msgspec.json.decode(content, type=dict[str, object] | list[dict[str, object]])
    listed = [records] if isinstance(records, dict) else records
    # Not strict: a column of mixed types becomes text, which the check by schema refuses by name.
    return pl.DataFrame(listed, infer_schema_length=None, strict=False)


def read_numbers(rows: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """Text columns of which `schema` says that they hold numbers, as numbers.

    Raises:
        InputError: names the row, column and text that is no number.
    """
    numeric = [name for name, column in schema.columns().items() if column.dtype.is_numeric()]
    return rows.with_columns([_number(rows[name]) for name in numeric if name in rows.columns])


def _number(text: pl.Series) -> pl.Series:
    numbers = text.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & text.is_not_null()).arg_true()
    if len(wrong):
        raise InputError(f"rows[{wrong[0]}].{text.name}", text[wrong[0]], "a number")
    return numbers


def checked(rows: pl.DataFrame, schema: type[dy.Schema]) -> pl.DataFrame:
    """`rows` if all of them obey `schema`, in its columns and types.

    Raises:
        InputError: names the first row and column that breaks a rule.
    """
    valid, failure = schema.filter(conform(rows, schema))
    if len(failure):
        raise _broken(conform(rows, schema), min(failure.counts()), schema)
    return valid


def _broken(rows: pl.DataFrame, rule: str, schema: type[dy.Schema]) -> InputError:
    """The error for the first row that breaks `rule`, which is named ``column|check`` or ``check``."""
    details = schema.filter(rows)[1].details()
    first = details.filter(pl.col(rule) == "invalid").row(0, named=True)
    column, _, check = rule.rpartition("|")
    column = column or schema.primary_key()[0]
    value = first[column]
    number = rows.with_row_index().filter(pl.col(column).eq_missing(value))["index"][0]
    expected = EXPECTED.get(check, f"a value that obeys {rule}")
    return InputError(f"rows[{number}].{column}", value, expected)
