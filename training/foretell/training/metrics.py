"""How good predictions are, in the same few figures everywhere."""

from collections.abc import Iterable, Mapping
from statistics import fmean

import numpy as np

from foretell.errors import InputError
from foretell.features.base import Array
from foretell.predictors.base import Prediction


def ape_percent(predicted: Array, actual: Array) -> Array:
    """Absolute percentage error of each row, shape (rows,).

    Raises:
        InputError: a value that is not positive and finite; no mean may hide it.
    """
    _check("predicted", predicted)
    _check("actual", actual)
    return np.abs(predicted / actual - 1.0) * 100.0


def _check(name: str, values: Array) -> None:
    wrong = ~(np.isfinite(values) & (values > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"{name}[{row}]", float(values[row]), "a positive finite number")


def point_scores(predicted: Array, actual: Array) -> dict[str, float]:
    """Errors of point predictions: `mape` and `median_ape`, percent."""
    ape = ape_percent(predicted, actual)
    return {"mape": float(ape.mean()), "median_ape": float(np.median(ape))}


def scores(prediction: Prediction, actual: Array) -> dict[str, float]:
    """Errors of the median, and of the 90 % interval.

    Args:
        prediction: with the levels 0.05, 0.5 and 0.95 among its own.
        actual: shape (rows,), in the unit of the prediction.

    Returns:
        `mape` and `median_ape`, percent; `coverage_90`, the share of rows inside of the interval, percent;
        `width_90`, the mean width of the interval, percent of the median.
    """
    low, middle, high = (prediction.at(level) for level in (0.05, 0.5, 0.95))
    return point_scores(middle, actual) | {
        "coverage_90": float(np.mean((low <= actual) & (actual <= high)) * 100.0),
        "width_90": float(np.mean((high - low) / middle) * 100.0),
    }


def macro(scored: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over groups, each group counting the same."""
    groups = list(scored)
    return {name: fmean(group[name] for group in groups) for name in groups[0]} if groups else {}
