"""Functions of single elements, or of pairs of them."""

from typing import ClassVar, Final, Literal, NamedTuple

from foretell.datasets.operators.fields import Dimension, Placed

Function = Literal[
    "copy", "add", "sub", "mul", "div", "pow",
    "add_scalar", "sub_scalar", "mul_scalar", "div_scalar", "pow_scalar",
    "neg", "exp", "sqrt", "relu", "tanh", "sigmoid", "gelu", "silu", "silu_mul",
]  # fmt: skip


class Work(NamedTuple):
    """What a function takes for each element of its result.

    Attributes:
        inputs: tensors that are read.
        operations: arithmetic; a function of the mathematical library counts as one.
    """

    inputs: int
    operations: int


FUNCTIONS: Final[dict[str, Work]] = {
    "copy": Work(1, 0),
    "add": Work(2, 1),
    "sub": Work(2, 1),
    "mul": Work(2, 1),
    "div": Work(2, 1),
    "pow": Work(2, 1),
    "add_scalar": Work(1, 1),
    "sub_scalar": Work(1, 1),
    "mul_scalar": Work(1, 1),
    "div_scalar": Work(1, 1),
    "pow_scalar": Work(1, 1),
    "neg": Work(1, 1),
    "exp": Work(1, 1),
    "sqrt": Work(1, 1),
    "relu": Work(1, 1),
    "tanh": Work(1, 1),
    "sigmoid": Work(1, 4),  # 1 / (1 + exp(-x))
    "gelu": Work(1, 5),  # x / 2 * (1 + erf(x / sqrt 2))
    "silu": Work(1, 4),  # x / (1 + exp(-x))
    "silu_mul": Work(2, 5),
}


class ElementwiseQuery(Placed, frozen=True):
    """One function of all elements of tensors of [rows, hidden]."""

    table: ClassVar[tuple[str, ...]] = ("function",)
    site: ClassVar[tuple[str, ...]] = ("hidden",)

    function: Function
    rows: Dimension
    hidden: Dimension
