"""The encoder of functions of single elements."""

from typing import Any, ClassVar

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.elementwise import FUNCTIONS, ElementwiseQuery
from foretell.datasets.operators.fields import Placed
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits
from foretell.features.rowwise import ROWWISE_EXTENT, ROWWISE_NAMES, rowwise_features, vector_rate


class ElementwiseEncoder(KernelEncoder):
    """Rows of `kernel` with the operator elementwise."""

    query: ClassVar[type[Placed]] = ElementwiseQuery
    names: ClassVar[tuple[str, ...]] = (*ROWWISE_NAMES, "inputs", "operations_each", "function")
    extent: ClassVar[int] = ROWWISE_EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Rate of arithmetic, inputs and operations for each result, and the function's number."""
        del dtype
        (function,) = own
        return (vector_rate(figures), *FUNCTIONS[function], float(list(FUNCTIONS).index(function)))

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Each value of each input read once, each result written once."""
        rate, inputs, each, function = traits
        rows, hidden = query.rows, query.hidden
        operations = rows * hidden * each
        moved = machine.a_bytes * rows * hidden * (inputs + 1)
        features, floor_us = rowwise_features(
            rows, hidden, operations=operations, moved=moved, rate=rate, machine=machine, ops=ops
        )
        return [*features, inputs, each, function], floor_us, moved
