"""Batched matrix products."""

from typing import ClassVar

from foretell.datasets.operators.fields import Dimension, Placed


class BmmQuery(Placed, frozen=True):
    """C[batch, m, n] = A[batch, m, k] B[batch, k, n]."""

    site: ClassVar[tuple[str, ...]] = ("n", "k")

    batch: Dimension
    m: Dimension
    n: Dimension
    k: Dimension
