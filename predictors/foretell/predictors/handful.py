"""A handful of measurements of a device, checked before anything is learnt from it."""

from typing import Final

import msgspec
import polars as pl

from foretell.errors import InputError

MIN_POINTS: Final = 8
"""As many as there are numbers to learn of a device."""
MOST_APART: Final = 1.5
"""Factor between two measurements of one shape from which on they contradict each other; 1.1 is usual."""


def checked_handful(rows: pl.DataFrame, query: type[msgspec.Struct], label: str) -> pl.DataFrame:
    """Measurements of one device: query columns and the label, each shape once, by its geometric mean.

    The query columns are left to the encoder to check.

    Args:
        rows: the measurements.
        query: what a question looks like.
        label: column that was measured.

    Raises:
        InputError: no rows, a label that is missing or no positive number, rows of two devices, or
            measurements of one shape that contradict each other.
    """
    if not rows.height:
        raise InputError("rows", [], f"at least {MIN_POINTS} measurements")
    for name in (label, "device"):
        if name not in rows.columns:
            raise InputError(name, None, "a column of that name")
    _check_label(rows[label])
    if rows["device"].n_unique() > 1:
        names = rows["device"].unique().sort().to_list()
        raise InputError("device", names, "measurements of one device")
    key = [name for name in query.__struct_fields__ if name in rows.columns]
    rows = rows.with_columns(pl.col(label).cast(pl.Float64))
    times = rows.group_by(key, maintain_order=True).agg(
        pl.col(label).min().alias("least"), pl.col(label).max().alias("most")
    )
    _check_agreement(times, key, label)
    extra = [name for name in rows.columns if name not in {*key, label}]
    # An unknown column goes on, to be refused by name.
    return rows.group_by([*key, *extra], maintain_order=True).agg(pl.col(label).log().mean().exp())


def check_enough(place: str, points: int) -> None:
    """Refuse fewer points than tell something.

    Raises:
        InputError: names the place.
    """
    if points < MIN_POINTS:
        raise InputError("rows", f"{points} of {place}", f"at least {MIN_POINTS} shapes of each data type")


def _check_label(values: pl.Series) -> None:
    if not values.dtype.is_numeric():
        raise InputError(values.name, f"values of type {values.dtype}", "positive numbers")
    times = values.cast(pl.Float64)
    wrong = (times.is_null() | ~(times.is_finite() & (times > 0)).fill_null(value=False)).to_list()
    if any(wrong):
        row = wrong.index(True)
        raise InputError(f"rows[{row}].{values.name}", values[row], "a positive finite number")


def _check_agreement(times: pl.DataFrame, key: list[str], label: str) -> None:
    apart = times.filter(pl.col("most") > MOST_APART * pl.col("least"))
    if not apart.is_empty():
        shape = {name: apart[name][0] for name in key if apart[name][0] is not None}
        found = f"{apart['least'][0]:g} and {apart['most'][0]:g} of {shape}"
        raise InputError(label, found, f"measurements of one shape within a factor of {MOST_APART:g}")
