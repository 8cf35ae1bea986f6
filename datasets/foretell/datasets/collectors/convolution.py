"""Convolutions of torch over images in the layout [batch, channels, height, width], without bias."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import ClassVar, Final

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.precision import float32_precision
from foretell.datasets.collectors.shapes import dimension, rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.convolution import ConvolutionQuery

KERNELS: Final = (1, 1, 3, 3, 3, 5, 7)
"""As networks have them; the usual ones come more often."""
DEPTHWISE: Final = 0.15
"""Share of convolutions that filter each channel by itself."""
SMALLEST, LARGEST = 7, 256
"""Heights and widths of images on their way through a network."""


class TorchConvolution(TorchKernels[ConvolutionQuery]):
    """Measures convolutions."""

    operator: ClassVar[str] = "convolution"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[ConvolutionQuery]:
        """Square filters on mostly square images, padded as networks do."""
        kernel, inputs = rng.choice(KERNELS), width(rng, largest // 8)
        height = max(SMALLEST, dimension(rng, SMALLEST, LARGEST))
        apart = rng.random() < DEPTHWISE
        return case_of(
            "convolution",
            batch=rows(rng, largest // 64),
            in_channels=inputs,
            out_channels=inputs if apart else width(rng, largest // 8),
            height=height,
            width=height if rng.random() < 0.8 else max(SMALLEST, dimension(rng, SMALLEST, LARGEST)),
            kernel=kernel,
            stride=rng.choice((1, 1, 1, 2)),
            padding=kernel // 2,
            groups=inputs if apart else 1,
            dtype=dtype,
        )

    def size(self, query: ConvolutionQuery) -> Size:
        """A multiplication and an addition for each weight at each place; all operands touched once."""
        height, wide = (_places(query, side) for side in (query.height, query.width))
        out = query.batch * query.out_channels * height * wide
        weights = query.out_channels * query.in_channels // query.groups * query.kernel**2
        image = query.batch * query.in_channels * query.height * query.width
        moved = (image + weights + out) * DTYPES[query.dtype].a_bytes
        return Size(2 * out * weights // query.out_channels, moved)

    def probe(self, dtype: str, scale: int) -> KernelCase[ConvolutionQuery]:
        """A three by three filter of 32 channels."""
        return case_of(
            "convolution", batch=scale, in_channels=32, out_channels=32, height=28, width=28, kernel=3,
            padding=1, dtype=dtype,
        )  # fmt: skip

    def call(self, query: ConvolutionQuery) -> Call:
        """The convolution; torch chooses the algorithm without trying others first."""
        image, weight = self.operands.inputs(
            query.dtype,
            (query.batch, query.in_channels, query.height, query.width),
            (query.out_channels, query.in_channels // query.groups, query.kernel, query.kernel),
        )
        convolve = self.torch.nn.functional.conv2d
        options = {"stride": query.stride, "padding": query.padding, "groups": query.groups}
        return partial(convolve, image, weight, **options)

    @contextmanager
    def setting(self, query: ConvolutionQuery) -> Iterator[None]:
        """float32 is float32: cuDNN would take tf32 for it."""
        del query
        cudnn = self.torch.backends.cudnn
        with float32_precision(self.torch, "highest"), cudnn.flags(enabled=True, allow_tf32=False):
            yield


def _places(query: ConvolutionQuery, side: int) -> int:
    """Where a filter comes to lie along one side of an image."""
    return (side + 2 * query.padding - query.kernel) // query.stride + 1
