"""Any torch module as a graph of operators, through `torch.export`.

Every node of the exported graph becomes an operator with its shape and cost. One that has no entry here is an
error and never a zero: a network must not look faster because nobody knows what is in it.
"""

from collections.abc import Callable, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, Final

from foretell.datasets.graph import FLOAT_BYTES, Network, Operator
from foretell.errors import InputError

if TYPE_CHECKING:
    import torch

FREE: Final = frozenset(
    {
        "view",
        "reshape",
        "_unsafe_view",
        "permute",
        "transpose",
        "t",
        "unsqueeze",
        "squeeze",
        "expand",
        "flatten",
    }
    | {"detach", "alias", "dropout", "split", "chunk", "slice", "select", "getitem"}
)
"""Nothing is computed and nothing moves, in evaluation."""
ELEMENTWISE: Final[Mapping[str, int]] = {
    "relu": 1, "relu_": 1, "hardtanh": 2, "hardtanh_": 2, "relu6": 2, "add": 1, "add_": 1, "sub": 1, "mul": 1,
    "div": 1, "neg": 1, "sigmoid": 4, "tanh": 4, "gelu": 8, "silu": 5, "silu_": 5, "hardsigmoid": 3,
    "hardswish": 4, "hardswish_": 4, "batch_norm": 2, "_native_batch_norm_legit_no_training": 2,
    "layer_norm": 8, "group_norm": 8, "softmax": 5, "_softmax": 5, "clone": 0, "contiguous": 0, "cat": 0,
    "zeros_like": 0, "embedding": 0,
}  # fmt: skip
"""Operations per element of the output."""
WINDOWS: Final = frozenset(
    {"avg_pool2d", "max_pool2d", "adaptive_avg_pool2d", "max_pool2d_with_indices", "mean"}
)
PRODUCTS: Final = frozenset({"linear", "matmul", "bmm", "mm", "addmm"})


def network_from(module: "torch.nn.Module", example_inputs: tuple[Any, ...]) -> Network:
    """The graph of a module in evaluation, for inputs of these shapes.

    Args:
        module: anything that `torch.export` takes; its mode is left as it was.
        example_inputs: positional arguments; only their shapes matter.

    Raises:
        InputError: an operator whose cost is not known, by name.
    """
    import torch  # noqa: PLC0415  (a second of import)

    mode = module.training
    try:
        program = torch.export.export(module.eval(), example_inputs)
    finally:
        module.train(mode)
    weights = {spec.arg.name for spec in program.graph_signature.input_specs if spec.target is not None}
    found: dict[str, Operator] = {}
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name not in weights:
            found[node.name] = Operator(node.name, "free", (), _shape(node), 0, 0)
        elif node.op == "call_function":
            found[node.name] = _operator(node, found)
    return Network(tuple(found.values()))


def _operator(node: Any, known: Mapping[str, Operator]) -> Operator:
    name = str(getattr(node.target, "_opname", getattr(node.target, "__name__", node.target)))
    inputs = tuple(source.name for source in node.all_input_nodes if source.name in known)
    weights = [source for source in node.all_input_nodes if source.name not in known]
    parameters = sum(prod(_shape(source)) for source in weights)
    if name in FREE:
        return Operator(node.name, "free", inputs, _shape(node), 0, 0)
    kind, operations = _cost(name, node)
    moved = parameters + prod(_shape(node)) + sum(prod(known[source].shape) for source in inputs)
    return Operator(node.name, kind, inputs, _shape(node), operations, FLOAT_BYTES * moved, parameters)


def _cost(name: str, node: Any) -> tuple[str, int]:
    """Class and operations of a node that computes something."""
    size = prod(_shape(node))
    if name in ELEMENTWISE:
        return "elementwise", ELEMENTWISE[name] * size
    if name in WINDOWS:
        return "pool", _window(name, node) * size
    known: Mapping[str, Callable[[Any], tuple[str, int]]] = dict.fromkeys(PRODUCTS, _product) | {
        "conv2d": _convolution, "convolution": _convolution, "scaled_dot_product_attention": _attention,
    }  # fmt: skip
    if name not in known:
        raise InputError(f"operator {node.name}", name, "an operator whose cost is known")
    return known[name](node)


def _window(name: str, node: Any) -> int:
    """Elements of the input that one element of the output reads."""
    if name in ("mean", "adaptive_avg_pool2d"):
        return max(1, prod(_shape(node.args[0])) // prod(_shape(node)))
    kernel = node.args[1]
    return int(prod(kernel)) if isinstance(kernel, list | tuple) else int(kernel) ** 2


def _product(node: Any) -> tuple[str, int]:
    """(..., k) by (k, n), plus a bias where there is one."""
    operands = [source for source in node.all_input_nodes if len(_shape(source)) > 1]
    bias = len(node.all_input_nodes) > len(operands)
    size = prod(_shape(node))
    return "dense", 2 * size * _shape(operands[0])[-1] + bias * size


def _convolution(node: Any) -> tuple[str, int]:
    outputs, per_group, *kernel = _shape(node.args[1])
    channels = _shape(node.args[0])[1]
    groups = channels // per_group
    size = prod(_shape(node))
    bias = len(node.args) > 2 and node.args[2] is not None
    kind = "dense" if prod(kernel) == 1 else "spatial"
    if groups > 1:
        kind = "depthwise" if groups == channels == outputs else "grouped"
    return kind, 2 * size * per_group * prod(kernel) + bias * size


def _attention(node: Any) -> tuple[str, int]:
    """Two products and a softmax over (..., queries, keys)."""
    *batch, queries, width = _shape(node.args[0])
    keys, values = _shape(node.args[1])[-2], _shape(node.args[2])[-1]
    pairs = prod(batch) * queries * keys
    return "dense", 2 * pairs * (width + values) + 5 * pairs


def _shape(node: Any) -> tuple[int, ...]:
    value = node.meta["val"]
    if isinstance(value, list | tuple):  # what is picked from several outputs says its own shape
        value = value[0]
    return tuple(int(size) for size in value.shape)
