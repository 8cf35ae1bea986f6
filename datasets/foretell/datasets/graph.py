"""A network as a directed graph of operators, each with what it costs.

Operations count a multiplication and an addition as two. Bytes are what an operator has to read and write at
least once, in 32-bit floats: its inputs, its output and its parameters.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from typing import Final

from foretell.errors import InputError, one_of

FLOAT_BYTES: Final = 4
CLASSES: Final = {
    "dense": "matrix products, 1x1 convolutions",
    "spatial": "convolutions over a window and all channels",
    "grouped": "convolutions within groups of channels",
    "depthwise": "convolutions of each channel by itself",
    "pool": "pooling and other reductions over a window",
    "elementwise": "activations, normalisations and sums, which compilers merge into what stands before",
    "free": "views and dropped layers: nothing is computed and nothing moves",
}
"""Classes of operators that reach different shares of a device's peak."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One node of a network.

    Attributes:
        name: unique within its network.
        kind: name in `CLASSES`.
        inputs: names of the operators whose outputs it reads.
        shape: of its output.
        operations: arithmetic, a multiplication and an addition being two.
        bytes: read and written at least.
        parameters: learnt numbers.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    operations: int
    bytes: int
    parameters: int = 0

    def __post_init__(self) -> None:
        if self.kind not in CLASSES:
            raise InputError(f"operator {self.name}", self.kind, one_of(CLASSES))
        if self.kind != "free" and self.bytes <= 0:
            raise InputError(f"operator {self.name}", self.bytes, "a known cost: bytes above zero")


@dataclass(frozen=True, slots=True)
class Network:
    """Operators in an order in which they can run.

    Raises:
        InputError: no operator, a name used twice, an input that is no operator, or a cycle.
    """

    operators: tuple[Operator, ...]

    def __post_init__(self) -> None:
        names = [operator.name for operator in self.operators]
        if not names:
            raise InputError("network", "no operators", "at least one")
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError("network", twice, "each operator's name once")
        for operator in self.operators:
            if unknown := set(operator.inputs) - set(names):
                raise InputError(f"inputs of {operator.name}", min(unknown), "operators of the network")
        try:
            TopologicalSorter({operator.name: operator.inputs for operator in self.operators}).prepare()
        except CycleError as error:
            raise InputError("network", " -> ".join(error.args[1]), "a graph without cycles") from error

    @property
    def operations(self) -> int:
        """Arithmetic of all operators."""
        return sum(operator.operations for operator in self.operators)

    @property
    def parameters(self) -> int:
        """Learnt numbers of all operators."""
        return sum(operator.parameters for operator in self.operators)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Pairs of names, from an operator to one that reads its output."""
        return [(source, node.name) for node in self.operators for source in node.inputs]


def conv(
    name: str,
    inputs: tuple[str, ...],
    shape: tuple[int, ...],
    channels: int,
    side: int,
    *,
    kernel: int,
    groups: int = 1,
) -> Operator:
    """A square convolution without bias.

    Args:
        name: of the operator.
        inputs: names of what it reads.
        shape: of the output: (batch, channels, height, width).
        channels: of the input.
        side: height and width of the input.
        kernel: side of the window.
        groups: of channels that do not mix.
    """
    weights = kernel * kernel * channels * shape[1] // groups
    moved = shape[0] * channels * side * side + prod(shape) + weights
    work = 2 * weights * shape[0] * shape[2] * shape[3]
    kind = _conv_kind(channels, kernel, groups)
    return Operator(name, kind, inputs, shape, work, FLOAT_BYTES * moved, weights)


def _conv_kind(channels: int, kernel: int, groups: int) -> str:
    if groups == channels and groups > 1:
        return "depthwise"
    if groups > 1:
        return "grouped"
    return "dense" if kernel == 1 else "spatial"


def elementwise(
    name: str, inputs: Iterable[str], shape: tuple[int, ...], *, parameters: int = 0, operations: int = 1
) -> Operator:
    """Reads as many elements from each input as it writes; `operations` are per element."""
    sources = tuple(inputs)
    moved = prod(shape) * (max(len(sources), 1) + 1) + parameters
    return Operator(
        name, "elementwise", sources, shape, operations * prod(shape), FLOAT_BYTES * moved, parameters
    )


def pool(name: str, inputs: tuple[str, ...], shape: tuple[int, ...], side: int, *, kernel: int) -> Operator:
    """Pooling over windows of kernel x kernel of an input of side x side."""
    moved = shape[0] * shape[1] * side * side + prod(shape)
    return Operator(name, "pool", inputs, shape, kernel * kernel * prod(shape), FLOAT_BYTES * moved)


def linear(name: str, inputs: tuple[str, ...], rows: int, features: int, outputs: int) -> Operator:
    """A matrix product with bias: (rows, features) to (rows, outputs)."""
    weights = features * outputs + outputs
    moved = rows * features + rows * outputs + weights
    work = 2 * rows * features * outputs + rows * outputs
    return Operator(name, "dense", inputs, (rows, outputs), work, FLOAT_BYTES * moved, weights)
