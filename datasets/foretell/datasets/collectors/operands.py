"""Buffers that every case takes its operands from, so that none pays for allocation or first touch.

Operands are normally distributed numbers (uniform ones for integers), since zeros draw less power and may run
at higher clocks.
"""

import math
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

PERIOD: Final = 2**20
"""Random numbers drawn for a buffer, which repeats them: drawing all would cost more than measuring."""
ALIGNMENT: Final = 128
"""Elements to which the start of an operand is aligned in the buffer that it shares."""

Shape = Sequence[int]


class Operands:
    """Operands of one device.

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

    def inputs(self, dtype_name: str, *shapes: Shape) -> "list[Tensor]":
        """Operands side by side, none of which overlaps another.

        Args:
            dtype_name: name of the torch data type.
            shapes: of the operands.
        """
        sizes = [math.prod(shape) for shape in shapes]
        starts = [0]
        for size in sizes:
            starts.append(starts[-1] + -(-size // ALIGNMENT) * ALIGNMENT)
        buffer = self._buffer(dtype_name, starts[-1])
        return [
            buffer[start : start + size].view(*shape)
            for start, size, shape in zip(starts[:-1], sizes, shapes, strict=True)
        ]

    def output(self, dtype_name: str, shape: Shape) -> "Tensor":
        """Room for a result, apart from all inputs."""
        count = math.prod(shape)
        return self._buffer(f"out {dtype_name}", count)[:count].view(*shape)

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
