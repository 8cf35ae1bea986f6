"""The operators of the kind `kernel`: what a question about each looks like, one module an operator."""

from typing import Final

from foretell.datasets.operators.attention import AttentionQuery
from foretell.datasets.operators.bmm import BmmQuery
from foretell.datasets.operators.collective import CollectiveQuery
from foretell.datasets.operators.convolution import ConvolutionQuery
from foretell.datasets.operators.elementwise import ElementwiseQuery
from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.gemm import GemmQuery
from foretell.datasets.operators.layernorm import LayernormQuery
from foretell.datasets.operators.moe import MoeQuery
from foretell.datasets.operators.softmax import SoftmaxQuery

OPERATORS: Final[dict[str, type[Placed]]] = {
    "gemm": GemmQuery,
    "bmm": BmmQuery,
    "attention": AttentionQuery,
    "moe": MoeQuery,
    "layernorm": LayernormQuery,
    "softmax": SoftmaxQuery,
    "elementwise": ElementwiseQuery,
    "convolution": ConvolutionQuery,
    "collective": CollectiveQuery,
}
"""Operators: name to the struct of its query."""
