"""Softmax of torch over the last dimension."""

import random
from functools import partial
from typing import ClassVar

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.softmax import SoftmaxQuery


class TorchSoftmax(TorchKernels[SoftmaxQuery]):
    """Measures softmax."""

    operator: ClassVar[str] = "softmax"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[SoftmaxQuery]:
        """From a few scores of many tokens to a vocabulary."""
        return case_of("softmax", rows=rows(rng, 4 * largest), hidden=width(rng, 4 * largest), dtype=dtype)

    def size(self, query: SoftmaxQuery) -> Size:
        """Maximum, difference, exponential, sum and quotient; input and output touched once."""
        numbers = query.rows * query.hidden
        return Size(5 * numbers, 2 * numbers * DTYPES[query.dtype].a_bytes)

    def probe(self, dtype: str, scale: int) -> KernelCase[SoftmaxQuery]:
        """Rows of 1024 scores."""
        return case_of("softmax", rows=16 * scale, hidden=1024, dtype=dtype)

    def call(self, query: SoftmaxQuery) -> Call:
        """Softmax into a preallocated output."""
        shape = (query.rows, query.hidden)
        (x,) = self.operands.inputs(query.dtype, shape)
        return partial(self.torch.softmax, x, -1, out=self.operands.output(query.dtype, shape))
