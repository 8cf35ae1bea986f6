"""Layer normalisation over the last dimension."""

from typing import ClassVar

from foretell.datasets.operators.fields import Dimension, Placed


class LayernormQuery(Placed, frozen=True):
    """Mean and variance of each of `rows` rows of `hidden` values, which are then scaled and shifted."""

    site: ClassVar[tuple[str, ...]] = ("hidden",)

    rows: Dimension
    hidden: Dimension
