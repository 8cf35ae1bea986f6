"""Splits into rows to learn from and rows to be judged on, by whole groups."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
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
    """Hold out a fraction of the groups that `columns` name, all rows of each.

    Args:
        rows: at least two groups of them.
        name: of the split.
        columns: rows that agree in these stay together; the same groups go in every table.
        seed: draws the groups; the order of `rows` has no say.
        fraction: of the groups.

    Raises:
        InputError: fewer than two groups.
    """
    groups = rows.select(columns).unique().sort(columns)
    if groups.height < 2:
        raise InputError(
            "rows", groups.height, f"two different {', '.join(columns)} at least, to hold one out"
        )
    held = np.zeros(groups.height, dtype=bool)
    count = min(groups.height - 1, max(1, round(fraction * groups.height)))
    held[np.random.default_rng(seed).choice(groups.height, count, replace=False)] = True
    test = groups.filter(pl.Series(held))
    return Split(name, rows.join(test, on=columns, how="anti"), rows.join(test, on=columns, how="semi"))
