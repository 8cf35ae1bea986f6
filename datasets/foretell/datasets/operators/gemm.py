"""Matrix products."""

from typing import ClassVar

from foretell.datasets.operators.fields import Dimension, Placed


class GemmQuery(Placed, frozen=True):
    """C[m, n] = A[m, k] B[k, n]: tokens, output and input channels of a linear layer."""

    site: ClassVar[tuple[str, ...]] = ("n", "k")

    m: Dimension
    n: Dimension
    k: Dimension
