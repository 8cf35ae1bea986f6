"""The encoder of matrix products."""

from typing import Any, ClassVar

from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.gemm import GemmQuery
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import EXTENT, NAMES, Machine, Operations, gemm_features
from foretell.features.places import Traits


class GemmEncoder(KernelEncoder):
    """Rows of `kernel` with the operator gemm."""

    query: ClassVar[type[Placed]] = GemmQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = EXTENT

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Roofline, tiles, waves and alignment; both operands and the result are held."""
        del traits
        return gemm_features(query.m, query.n, query.k, machine, ops)
