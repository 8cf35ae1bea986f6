"""What every source is: published files in, rows of one kind out; rows that it refuses keep the reason."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar, Protocol

import polars as pl

from foretell.datasets.collectors.base import Availability


@dataclass(frozen=True, slots=True)
class Note:
    """What is odd about rows that were accepted all the same: a reader decides, nothing was repaired.

    Attributes:
        check: what was looked for, such as ``two_modes``.
        table: where it was found.
        evidence: the figures that say so.
    """

    check: str
    table: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What a source read, as `Store.append` takes it.

    Attributes:
        rows: in the columns of the kind, each obeying its schema.
        rejected: the rest, with the rule that it broke in the column `rule`.
        notes: what else was found in the tables that these rows belong to.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    notes: tuple[Note, ...] = ()


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

    def batches(self) -> Iterator[Batch]:
        """All published rows, accepted or rejected, in parts that fit in memory one by one; none is dropped.

        Raises:
            UnavailableError: the files are not here; nothing was given.
            InputError: a file in another layout, or a value that the kind has no name for.
        """
        ...

    def read(self) -> Batch:
        """All of `batches` at once."""
        ...


def merged(batches: Iterable[Batch]) -> Batch:
    """The batches as one; there is one at least."""
    parts = list(batches)
    return Batch(
        pl.concat([part.rows for part in parts]),
        pl.concat([part.rejected for part in parts], how="diagonal_relaxed"),
        tuple(chain.from_iterable(part.notes for part in parts)),
    )


def split(rows: pl.DataFrame, *rules: pl.Expr | pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that no rule holds for, and the others with the first that does, in the column `rule`.

    Args:
        rows: any rows.
        rules: text for each row: the name of the rule that it breaks, null where it does not.
    """
    ruled = rows.with_columns(rule=pl.coalesce(*rules))
    return ruled.filter(pl.col("rule").is_null()).drop("rule"), ruled.drop_nulls("rule")
