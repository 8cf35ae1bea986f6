"""Softmax over the last dimension."""

from typing import ClassVar

from foretell.datasets.operators.fields import Dimension, Placed


class SoftmaxQuery(Placed, frozen=True):
    """exp(x - max x) over its sum, for each of `rows` rows of `hidden` values."""

    site: ClassVar[tuple[str, ...]] = ("hidden",)

    rows: Dimension
    hidden: Dimension
