"""Answers from physics alone, for an operator that no model was trained for: rough, and said to be so."""

from collections.abc import Iterable, Sequence
from pkgutil import resolve_name
from typing import Any, Final

import numpy as np

from foretell.datasets.device import DeviceFigures
from foretell.features.base import Array, Encoder
from foretell.predictors.families import ENCODERS
from foretell.predictors.interval import Interval

LAUNCH_US: Final = 3.0
"""What the shortest kernels of a GPU take, however small their work."""
SLOWDOWN: Final = 2.0
"""How far kernels stay from their roofline, in the middle of all that were published."""
FACTOR: Final = 6.0
"""Half-width of the 90 % interval, as a factor; docs/log.md has its coverage by operator."""


class Untrained:
    """The roofline of one operator and a launch, times a constant, with a wide interval.

    Args:
        operator: its name.
        described: devices that the published table lacks.
    """

    def __init__(self, operator: str, described: Iterable[DeviceFigures] = ()) -> None:
        self._encoder: Encoder = resolve_name(ENCODERS[operator])(described)

    def latency_us(self, query: Any, levels: Sequence[float]) -> Array:
        """Quantiles of one query, shape (levels,), in µs.

        Raises:
            InputError: a device that is not described, lacks a figure, or cannot hold the operator.
        """
        self._encoder.place(query)
        _, floor_us = self._encoder.encode_one(query)
        spread = Interval.wide(FACTOR).at(levels)
        return np.asarray(SLOWDOWN * (floor_us + LAUNCH_US) * np.exp(spread))
