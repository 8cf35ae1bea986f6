"""Find tables whose clock is coarse for their shortest times."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from foretell.datasets.sources.base import Note
from foretell.datasets.sources.copies import table_name

STEPS_US: Final = (10.0, 5.0, 2.0, 1.0, 0.5)
"""Steps that are looked for, coarsest first."""
ON_STEP: Final = 0.99
"""Share of a table's times that are whole steps, if that is how its clock ticks."""
EXACT_US: Final = 1e-3
"""How near to a whole step: published single precision is exact to 0.0006 us at 10 ms."""
VISIBLE: Final = 0.01
"""Share of a time from which on half a step matters."""


def coarse_clock(rows: pl.DataFrame, table: Sequence[str], value: str) -> list[Note]:
    """A note on each table whose times are whole steps, where half a step is over 1 % of some of them.

    Args:
        rows: any rows.
        table: columns that name a table.
        value: column of times in microseconds, each read once from the clock: a mean of several has no steps.
    """
    notes = []
    tables = rows.select(table_name(table), value).filter(pl.col(value) > 0)
    for (name,), times in tables.sort("table").partition_by("table", as_dict=True).items():
        step_us = _step_us(times[value])
        short = int((times[value] < step_us / 2 / VISIBLE).sum())
        if step_us and short:
            evidence = (
                f"times are whole multiples of {step_us:g} us; for {short} rows half of that is over 1 %"
            )
            notes.append(Note("coarse_clock", str(name), evidence))
    return notes


def _step_us(times_us: pl.Series) -> float:
    """The step of the clock; 0 where none shows."""
    for step_us in STEPS_US:
        off = (times_us - (times_us / step_us).round() * step_us).abs()
        if (off < EXACT_US).mean() >= ON_STEP:  # type: ignore[operator]  # the mean of a column is a number
            return step_us
    return 0.0
