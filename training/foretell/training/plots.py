"""Pictures of how good a model is."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from foretell.features.base import Array
from foretell.predictors.base import Prediction
from foretell.training.metrics import ape_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BINS: Final = 12
SUFFIXES: Final = (".pdf", ".png", ".svg")


def accuracy(path: Path, prediction: Prediction, actual: Array, tables: list[str]) -> Path:
    """Write `accuracy_figure`; the suffix of `path`, one of `SUFFIXES`, says the format."""
    accuracy_figure(prediction, actual, tables).savefig(path, dpi=110)
    return path


def accuracy_figure(prediction: Prediction, actual: Array, tables: Sequence[str]) -> "Figure":
    """Predicted against measured, and the error by size, side by side.

    Args:
        prediction: with the levels 0.05, 0.5 and 0.95 among its own.
        actual: shape (rows,), in the unit of the prediction.
        tables: for each row what to colour it by.
    """
    figure = _figure(width=11.0)
    left, right = figure.subplots(1, 2)
    _against(left, prediction, actual, tables)
    _by_size(right, prediction.at(0.5), actual)
    right.set_xlabel(f"measured, {prediction.unit}")
    right.legend()
    figure.suptitle(f"{prediction.target} on {len(actual)} held-out rows")
    return figure


def size_figure(prediction: Prediction, actual: Array, names: Sequence[str]) -> "Figure":
    """The error by size, a pair of lines for each of `names`, such as the data type of each row."""
    figure = _figure(width=7.5)
    axes = figure.subplots()
    for number, name in enumerate(dict.fromkeys(names)):
        rows = np.array(names) == name
        _by_size(axes, prediction.at(0.5)[rows], actual[rows], colour=f"C{number}", name=f"{name}: ")
    axes.set_xlabel(f"measured, {prediction.unit}")
    axes.legend(fontsize="x-small")
    return figure


def calibration_figure(levels: Sequence[float], shares: Sequence[float], rows: int) -> "Figure":
    """Share of measurements below each quantile, over its nominal level.

    Args:
        levels: nominal levels.
        shares: what share of measurements lay below each.
        rows: number of measurements; the grey band is two standard deviations of as many fair draws.
    """
    figure = _figure(width=5.2)
    axes = figure.subplots()
    fair = np.linspace(0, 1, 101)
    noise = 2 * np.sqrt(fair * (1 - fair) / rows)
    axes.fill_between(fair, fair - noise, fair + noise, color="0.9", label=f"chance, {rows} rows")
    axes.plot(fair, fair, color="black", linewidth=0.8)
    axes.plot(levels, shares, marker="o", label="held-out rows")
    axes.set(xlabel="nominal level", ylabel="share of measurements below", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left")
    return figure


def _figure(width: float) -> "Figure":
    # The class and not pyplot, which would keep state and look for a screen.
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width, 4.8), layout="constrained")


def _against(axes: "Axes", prediction: Prediction, actual: Array, tables: Sequence[str]) -> None:
    """One point per row on the diagonal, with its 90 % interval."""
    low, middle, high = (prediction.at(level) for level in (0.05, 0.5, 0.95))
    names = np.array(tables)
    axes.vlines(actual, low, high, color="0.8", linewidth=0.6, zorder=1)
    for name in dict.fromkeys(tables):
        rows = names == name
        axes.scatter(actual[rows], middle[rows], s=5, label=name, zorder=2, linewidths=0)
    ends = [actual.min(), actual.max()]
    axes.plot(ends, ends, color="black", linewidth=0.8, zorder=3)
    axes.set(xscale="log", yscale="log")
    axes.set_xlabel(f"measured, {prediction.unit}")
    axes.set_ylabel(f"predicted, {prediction.unit} (grey: 90 % interval)")
    if len(set(tables)) <= 10:
        axes.legend(fontsize="x-small", markerscale=2)


def _by_size(
    axes: "Axes", predicted: Array, actual: Array, *, colour: str | None = None, name: str = ""
) -> None:
    """Median and 90th percentile of the error in bins of equal count, over the measured size."""
    order = np.argsort(actual)
    ape = ape_percent(predicted, actual)
    bins = np.array_split(order, min(BINS, len(order)))
    sizes = [float(np.median(actual[rows])) for rows in bins]
    for words, level, style in (("median", 0.5, "-"), ("90th percentile", 0.9, "--")):
        errors = [np.quantile(ape[rows], level) for rows in bins]
        axes.plot(sizes, errors, style, marker="o", color=colour, label=name + words)
    axes.set(xscale="log", ylim=(0, None), ylabel="absolute percentage error, %")
