"""Pictures of how good a model is."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from foretell.features.base import Array
from foretell.predictors.base import Prediction
from foretell.training.metrics import ape_percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS: Final = 12
SUFFIXES: Final = (".pdf", ".png", ".svg")


def accuracy(path: Path, prediction: Prediction, actual: Array, tables: list[str]) -> Path:
    """Predicted against measured, and the error by size, in one picture.

    Args:
        path: file to write; the suffix says the format.
        prediction: with the levels 0.05, 0.5 and 0.95.
        actual: shape (rows,), in the unit of the prediction.
        tables: for each row what to colour it by.
    """
    # The class and not pyplot, which would keep state and look for a screen.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(11, 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    _against(left, prediction, actual, tables)
    _by_size(right, prediction, actual)
    figure.suptitle(f"{prediction.target} on {len(actual)} held-out rows")
    figure.savefig(path, dpi=110)
    return path


def _against(axes: "Axes", prediction: Prediction, actual: Array, tables: list[str]) -> None:
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


def _by_size(axes: "Axes", prediction: Prediction, actual: Array) -> None:
    """Median and 90th percentile of the error in bins of equal count, over the measured size."""
    order = np.argsort(actual)
    ape = ape_percent(prediction.at(0.5), actual)
    bins = [rows for rows in np.array_split(order, min(BINS, len(order))) if len(rows)]
    sizes = [float(np.median(actual[rows])) for rows in bins]
    axes.plot(sizes, [np.median(ape[rows]) for rows in bins], marker="o", label="median")
    axes.plot(sizes, [np.quantile(ape[rows], 0.9) for rows in bins], marker="o", label="90th percentile")
    axes.set(xscale="log", ylim=(0, None))
    axes.set_xlabel(f"measured, {prediction.unit}")
    axes.set_ylabel("absolute percentage error, %")
    axes.legend()
