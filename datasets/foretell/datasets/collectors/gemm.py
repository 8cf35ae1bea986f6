"""Matrix products of torch: C[m, n] = A[m, k] W[n, k]^T, as `torch.nn.Linear` runs them.

A is [m, k] row-major, the weight [n, k] row-major and used transposed (a view), the output preallocated: a
call allocates nothing.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import DeviceType, TorchKernels
from foretell.datasets.collectors.precision import float32_precision
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.gemm import GemmQuery

CUDA_MULTIPLES: Final = {"int8": 8, "fp8": 16}
CUDA_LEAST_ROWS: Final = {"int8": 17}
"""cuBLASLt takes int8 and fp8 only where n and k are multiples of these, and int8 only for m > 16."""


@dataclass(frozen=True, slots=True)
class Product:
    """How torch multiplies one data type.

    Attributes:
        operand: name of the torch data type of both inputs.
        output: likewise of the output.
        make: from the module torch, A, the transposed weight and the output to the call.
        precision: of float32 products, as `torch.set_float32_matmul_precision` names it.
    """

    operand: str
    output: str
    make: Callable[[Any, Any, Any, Any], Call]
    precision: str = "highest"


def _mm(torch: Any, a: Any, w_t: Any, out: Any) -> Call:
    return partial(torch.mm, a, w_t, out=out)


def _int_mm(torch: Any, a: Any, w_t: Any, out: Any) -> Call:
    return partial(torch._int_mm, a, w_t, out=out)  # the only int8 product that torch has


def _scaled_mm(torch: Any, a: Any, w_t: Any, out: Any) -> Call:
    """One scale a tensor, fast accumulation, as inference engines run it."""
    one = torch.ones((), device=a.device)
    options = {"scale_a": one, "scale_b": one, "out_dtype": out.dtype, "use_fast_accum": True}
    return partial(torch._scaled_mm, a, w_t, out=out, **options)


_FLOAT32: Final = Product("float32", "float32", _mm)
_INT8: Final = Product("int8", "int32", _int_mm)
_PLAIN: Final = {name: Product(name, name, _mm) for name in ("float64", "bfloat16", "float16")}
PRODUCTS: Final[dict[DeviceType, dict[str, Product]]] = {
    "cpu": {"float32": _FLOAT32, **_PLAIN, "int8": _INT8},
    "cuda": {
        "float32": _FLOAT32,
        "tf32": Product("float32", "float32", _mm, precision="high"),
        **_PLAIN,
        "int8": _INT8,
        "fp8": Product("float8_e4m3fn", "bfloat16", _scaled_mm),
    },
}
"""By type of device and data type. torch multiplies fp8 on a CPU too, but only by widening it."""


class TorchGemm(TorchKernels[GemmQuery]):
    """Measures matrix products."""

    operator: ClassVar[str] = "gemm"
    types: ClassVar[dict[DeviceType, Sequence[str]]] = {where: tuple(of) for where, of in PRODUCTS.items()}

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[GemmQuery]:
        """Tokens over all decades; widths seldom narrow, and such as the device's kernels take."""
        on_cuda = self.device_type == "cuda"
        multiple = CUDA_MULTIPLES.get(dtype, 1) if on_cuda else 1
        least = CUDA_LEAST_ROWS.get(dtype, 1) if on_cuda else 1
        m = max(rows(rng, largest), least)
        n, k = width(rng, largest, multiple), width(rng, largest, multiple)
        return case_of("gemm", m=m, n=n, k=k, dtype=dtype)

    def size(self, query: GemmQuery) -> Size:
        """Both inputs and the output, each touched once."""
        m, n, k, moved = query.m, query.n, query.k, DTYPES[query.dtype]
        return Size(2 * m * n * k, m * k * moved.a_bytes + k * n * moved.b_bytes + m * n * moved.c_bytes)

    def probe(self, dtype: str, scale: int) -> KernelCase[GemmQuery]:
        """A square product."""
        return case_of("gemm", m=64 * scale, n=64 * scale, k=64 * scale, dtype=dtype)

    def call(self, query: GemmQuery) -> Call:
        """A product into a preallocated output."""
        product = PRODUCTS[self.device_type][query.dtype]
        a, weight = self.operands.inputs(product.operand, (query.m, query.k), (query.n, query.k))
        out = self.operands.output(product.output, (query.m, query.n))
        return product.make(self.torch, a, weight.t(), out)

    def setting(self, query: GemmQuery) -> AbstractContextManager[None]:
        """The precision of the product's data type."""
        return float32_precision(self.torch, PRODUCTS[self.device_type][query.dtype].precision)
