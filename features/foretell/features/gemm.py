"""The encoder of matrix products."""

from typing import Any, ClassVar, Final

from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.gemm import GemmQuery
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import MACHINE_NAMES, Machine, Operations, machine_features
from foretell.features.places import Traits
from foretell.features.products import PRODUCT_EXTENT, PRODUCT_NAMES, product_bytes, product_features

NAMES: Final = (*PRODUCT_NAMES, *MACHINE_NAMES, "a_bytes", "b_bytes")


class GemmEncoder(KernelEncoder):
    """Rows of `kernel` with the operator gemm."""

    query: ClassVar[type[Placed]] = GemmQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = PRODUCT_EXTENT

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Roofline, tiles, waves and alignment; both operands and the result are held."""
        del traits
        m, n, k = query.m, query.n, query.k
        moved = product_bytes(m, n, k, machine)
        features, floor_us = product_features(m, n, k, copies=1, moved=moved, machine=machine, ops=ops)
        features += machine_features(machine)
        features += (machine.a_bytes, machine.b_bytes)
        return features, floor_us, moved
