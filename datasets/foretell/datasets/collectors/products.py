"""Matrix products of torch by data type: operands laid out as a linear layer has them, and the call.

A is [m, k] row-major, the weight [n, k] row-major and used transposed (a view, as `torch.nn.Linear` does),
the output preallocated: a call computes A @ W.T into it and allocates nothing. Operands are normally
distributed numbers (uniform ones for int8), since zeros draw less power and may run at higher clocks.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from foretell.datasets.collectors.shapes import GemmCase
from foretell.datasets.collectors.timing import Call
from foretell.errors import UnavailableError

if TYPE_CHECKING:
    from torch import Tensor

PERIOD: Final = 2**20
"""Random numbers drawn for a buffer, which repeats them: drawing all would cost more than measuring."""
ALIGNMENT: Final = 128
"""Elements to which the weight's start is aligned in the buffer that it shares with A."""


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
PRODUCTS: Final[dict[str, dict[str, Product]]] = {
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


@contextmanager
def float32_precision(torch: ModuleType, precision: str) -> Iterator[None]:
    """Set the precision of float32 products explicitly, whatever the process had, and put that back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Operands:
    """Buffers that every case takes its operands from, so that none pays for allocation or first touch.

    Args:
        torch: the module torch.
        device_type: ``cpu`` or ``cuda``.
        seed: seed of the random numbers.
    """

    def __init__(self, torch: ModuleType, device_type: str, seed: int = 0) -> None:
        self._torch = torch
        self._device_type = device_type
        self._seed = seed
        self._buffers: dict[str, Tensor] = {}

    def call(self, case: GemmCase) -> tuple[Call, AbstractContextManager[None]]:
        """The call of one case, and the setting within which it must run.

        Raises:
            UnavailableError: this type of device has no such product.
        """
        product = PRODUCTS[self._device_type].get(case.dtype)
        if product is None:
            raise UnavailableError(f"torch has no {case.dtype} product on {self._device_type}")
        start = -(-case.m * case.k // ALIGNMENT) * ALIGNMENT
        inputs = self._buffer(product.operand, start + case.n * case.k)
        a = inputs[: case.m * case.k].view(case.m, case.k)
        weight = inputs[start : start + case.n * case.k].view(case.n, case.k)
        out = self._buffer(f"out {product.output}", case.m * case.n)[: case.m * case.n].view(case.m, case.n)
        call = product.make(self._torch, a, weight.t(), out)
        return call, float32_precision(self._torch, product.precision)

    def _buffer(self, name: str, count: int) -> "Tensor":
        """A flat buffer of at least `count` elements, all of them touched; grown by doubling."""
        held = self._buffers.pop(name, None)
        if held is None or held.numel() < count:
            del held  # before its successor is made: both at once may not fit
            periods = 1 << max(0, (-(-count // PERIOD) - 1).bit_length())
            held = self._random(name.removeprefix("out "), periods)
        self._buffers[name] = held
        return held

    def _random(self, dtype_name: str, periods: int) -> "Tensor":
        torch, device = self._torch, self._device_type
        dtype = getattr(torch, dtype_name)
        generator = torch.Generator(device).manual_seed(self._seed)
        if dtype.is_floating_point:
            drawn = torch.randn(PERIOD, generator=generator, device=device).to(dtype)
        else:
            drawn = torch.randint(-128, 128, (PERIOD,), generator=generator, device=device, dtype=dtype)
        # Repeated as bytes: not every data type can be repeated as what it is.
        repeated: Tensor = drawn.view(torch.uint8).repeat(periods).view(dtype)
        return repeated
