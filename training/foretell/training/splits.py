"""Splits into rows to learn from and rows to be judged on, by whole groups."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from foretell.errors import InputError

HELD_OUT: Final = 0.2


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of one split.

    Attributes:
        name: such as ``site``.
        train: rows to learn from.
        test: rows of the groups held out; touched once.
    """

    name: str
    train: pl.DataFrame
    test: pl.DataFrame

    def fingerprint(self, key: Sequence[str]) -> str:
        """Name and digest of the held-out rows: two trainings with the same one can be compared."""
        rows = self.test.select(key).sort(key).write_ndjson()
        return f"{self.name}:{hashlib.sha256(rows.encode()).hexdigest()[:16]}"


def hold_out(
    rows: pl.DataFrame, name: str, columns: Sequence[str], *, seed: int, fraction: float = HELD_OUT
) -> Split:
    """Hold out about a fraction of the groups that `columns` name, all rows of each.

    A group's own name decides, so that it stays on its side when rows are added: a model trained last week
    has not seen what this week's is judged on.

    Args:
        rows: any rows with `columns`.
        name: of the split.
        columns: rows that agree in these stay together, over all tables.
        seed: another one holds out other groups.
        fraction: of the groups.

    Raises:
        InputError: so few groups that one side stays empty.
    """
    groups = rows.select(columns).unique()
    held = [_share(seed, group) < fraction for group in groups.iter_rows()]
    test = groups.filter(pl.Series(held, dtype=pl.Boolean))
    if test.height in (0, groups.height):
        expected = f"more values of ({', '.join(columns)}), to hold some out"
        raise InputError("rows", f"{groups.height} groups", expected)
    return Split(name, rows.join(test, on=columns, how="anti"), rows.join(test, on=columns, how="semi"))


def _share(seed: int, group: tuple[object, ...]) -> float:
    """A number in [0, 1) that depends on nothing but the group's name and the seed."""
    digest = hashlib.blake2b(repr((seed, *group)).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
