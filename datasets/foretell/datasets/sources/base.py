"""What every source is: published files in, rows of one kind out; rows that it refuses keep the reason."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import polars as pl

from foretell.datasets.collectors.base import Availability


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source read, as `Store.append` takes it.

    Attributes:
        rows: in the columns of the kind, each obeying its schema.
        rejected: the rest, with the rule that it broke in the column `rule`.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame


class Source(Protocol):
    """One published dataset.

    Constructors take ``path``, a folder of the published files, or null to read them from an installed
    package; they store options and read nothing.
    """

    kind: ClassVar[str]
    """Kind of the rows, a name in `foretell.datasets.store.KINDS`."""

    def available(self) -> Availability:
        """Whether the files are here; false says what is missing and where it is to be had."""
        ...

    def read(self) -> Batch:
        """All published rows, accepted or rejected; none is dropped.

        Raises:
            UnavailableError: the files are not here.
            InputError: a file in another layout, or a value that the kind has no name for.
        """
        ...


def split(rows: pl.DataFrame, *rules: pl.Expr | pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that no rule holds for, and the others with the first that does, in the column `rule`.

    Args:
        rows: any rows.
        rules: text for each row: the name of the rule that it breaks, null where it does not.
    """
    ruled = rows.with_columns(rule=pl.coalesce(*rules))
    return ruled.filter(pl.col("rule").is_null()).drop("rule"), ruled.drop_nulls("rule")
