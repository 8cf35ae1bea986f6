"""The encoder of layer normalisation."""

from typing import Any, ClassVar

from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.layernorm import LayernormQuery
from foretell.features.kernel import Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits
from foretell.features.rowwise import RowwiseEncoder, rowwise_features


class LayernormEncoder(RowwiseEncoder):
    """Rows of `kernel` with the operator layernorm."""

    query: ClassVar[type[Placed]] = LayernormQuery

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
