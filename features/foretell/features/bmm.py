"""The encoder of batched matrix products."""

from typing import Any, ClassVar, Final

from foretell.datasets.operators.bmm import BmmQuery
from foretell.datasets.operators.fields import Placed
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import MACHINE_NAMES, Machine, Operations, machine_features
from foretell.features.places import Traits
from foretell.features.products import PRODUCT_EXTENT, PRODUCT_NAMES, product_bytes, product_features

NAMES: Final = ("log_batch", *PRODUCT_NAMES, *MACHINE_NAMES, "a_bytes")


class BmmEncoder(KernelEncoder):
    """Rows of `kernel` with the operator bmm."""

    query: ClassVar[type[Placed]] = BmmQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = 1 + PRODUCT_EXTENT

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """As of a product; the tiles of the whole batch share the waves."""
        del traits
        batch, m, n, k = query.batch, query.m, query.n, query.k
        moved = batch * product_bytes(m, n, k, machine)
        features, floor_us = product_features(m, n, k, copies=batch, moved=moved, machine=machine, ops=ops)
        return [ops.log2(batch), *features, *machine_features(machine), machine.a_bytes], floor_us, moved
