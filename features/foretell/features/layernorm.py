"""The encoder of layer normalisation."""

from typing import Any, ClassVar

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.layernorm import LayernormQuery
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits
from foretell.features.rowwise import ROWWISE_EXTENT, ROWWISE_NAMES, rowwise_features, vector_rate


class LayernormEncoder(KernelEncoder):
    """Rows of `kernel` with the operator layernorm."""

    query: ClassVar[type[Placed]] = LayernormQuery
    names: ClassVar[tuple[str, ...]] = ROWWISE_NAMES
    extent: ClassVar[int] = ROWWISE_EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Rate of arithmetic."""
        del dtype, own
        return (vector_rate(figures),)

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Each value read and written once, and a weight and a bias for each column."""
        rows, hidden = query.rows, query.hidden
        operations = rows * layernorm_operations(hidden)
        moved = machine.a_bytes * hidden * (2 * rows + 2)
        features, floor_us = rowwise_features(
            rows, hidden, operations=operations, moved=moved, rate=traits[0], machine=machine, ops=ops
        )
        return features, floor_us, moved


def layernorm_operations(hidden: Any) -> Any:
    """Of one row: mean, deviations, their squares' mean, one reciprocal root; scaled, weighted, shifted."""
    return 7 * hidden + 2
