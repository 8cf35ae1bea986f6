"""The encoder of softmax."""

from typing import Any, ClassVar

from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.softmax import SoftmaxQuery
from foretell.features.kernel import Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits
from foretell.features.rowwise import RowwiseEncoder, rowwise_features


class SoftmaxEncoder(RowwiseEncoder):
    """Rows of `kernel` with the operator softmax."""

    query: ClassVar[type[Placed]] = SoftmaxQuery

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
