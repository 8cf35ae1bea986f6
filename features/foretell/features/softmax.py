"""The encoder of softmax."""

from typing import Any, ClassVar

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.softmax import SoftmaxQuery
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits
from foretell.features.rowwise import ROWWISE_EXTENT, ROWWISE_NAMES, rowwise_features, vector_rate


class SoftmaxEncoder(KernelEncoder):
    """Rows of `kernel` with the operator softmax."""

    query: ClassVar[type[Placed]] = SoftmaxQuery
    names: ClassVar[tuple[str, ...]] = ROWWISE_NAMES
    extent: ClassVar[int] = ROWWISE_EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Rate of arithmetic."""
        del dtype, own
        return (vector_rate(figures),)

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Each value read and written once."""
        rows, hidden = query.rows, query.hidden
        operations = rows * softmax_operations(hidden)
        moved = machine.a_bytes * hidden * 2 * rows
        features, floor_us = rowwise_features(
            rows, hidden, operations=operations, moved=moved, rate=traits[0], machine=machine, ops=ops
        )
        return features, floor_us, moved


def softmax_operations(hidden: Any) -> Any:
    """Of one row: the greatest, differences, exponentials, their sum, and quotients."""
    return 5 * hidden - 2
