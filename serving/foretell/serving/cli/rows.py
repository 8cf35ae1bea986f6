"""Files of rows that a user hands to a command."""

from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import polars as pl

from foretell.errors import InputError, one_of

# From an open file: of a path Polars would take `*` and `[` for patterns.
READERS: Final[dict[str, Callable[[IO[bytes]], pl.DataFrame]]] = {
    ".csv": lambda file: pl.read_csv(file, infer_schema_length=None),
    ".parquet": pl.read_parquet,
    ".jsonl": lambda file: pl.read_ndjson(file, infer_schema_length=None),
    ".ndjson": lambda file: pl.read_ndjson(file, infer_schema_length=None),
}


def read_rows(path: Path, option: str = "file") -> pl.DataFrame:
    """The rows of a file whose format its name tells.

    Args:
        path: of the file.
        option: under which the user named it.

    Raises:
        InputError: an unknown format, or a file that cannot be read.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(option, str(path), f"a name that ends in {one_of(READERS)}")
    try:
        with path.open("rb") as file:
            return reader(file)
    # On some damaged Parquet files Polars panics, which is no `PolarsError`.
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(option, str(path), f"a readable {path.suffix} file ({reason})") from error
