"""Elementwise functions of torch, into a preallocated output where torch takes one."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.elementwise import FUNCTIONS, ElementwiseQuery

SCALAR: Final = "_scalar"
NUMBER: Final = 1.5
"""The scalar: neither 0, 1 nor 2, for which libraries take short cuts."""
WITHOUT_OUTPUT: Final = ("gelu", "silu", "relu")


class TorchElementwise(TorchKernels[ElementwiseQuery]):
    """Measures elementwise functions; torch runs ``silu_mul`` as two kernels, as it has none for both."""

    operator: ClassVar[str] = "elementwise"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[ElementwiseQuery]:
        """Each function as often as the others."""
        function = rng.choice(list(FUNCTIONS))
        shape = {"rows": rows(rng, 4 * largest), "hidden": width(rng, largest)}
        return case_of("elementwise", function=function, dtype=dtype, **shape)

    def size(self, query: ElementwiseQuery) -> Size:
        """Inputs and output touched once."""
        numbers, work = query.rows * query.hidden, FUNCTIONS[query.function]
        moved = numbers * (work.inputs + 1) * DTYPES[query.dtype].a_bytes
        return Size(numbers * max(work.operations, 1), moved)

    def probe(self, dtype: str, scale: int) -> KernelCase[ElementwiseQuery]:
        """Sums of rows of 1024 values."""
        return case_of("elementwise", function="add", rows=16 * scale, hidden=1024, dtype=dtype)

    def call(self, query: ElementwiseQuery) -> Call:
        """The function of row-major inputs."""
        shape = (query.rows, query.hidden)
        inputs: list[Any] = self.operands.inputs(query.dtype, *[shape] * FUNCTIONS[query.function].inputs)
        out = self.operands.output(query.dtype, shape)
        if query.function == "copy":
            return partial(out.copy_, *inputs)
        if query.function == "silu_mul":
            return _silu_mul(self.torch, inputs[0], inputs[1], out)
        if query.function in WITHOUT_OUTPUT:
            return partial(getattr(self.torch.nn.functional, query.function), *inputs)
        function = getattr(self.torch, query.function.removesuffix(SCALAR))
        numbers = [NUMBER] if query.function.endswith(SCALAR) else []
        return partial(function, *inputs, *numbers, out=out)


def _silu_mul(torch: Any, gate: Any, x: Any, out: Any) -> Callable[[], object]:
    def call() -> object:
        return torch.mul(torch.nn.functional.silu(gate), x, out=out)

    return call
