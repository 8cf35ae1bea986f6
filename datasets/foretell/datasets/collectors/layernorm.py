"""Layer normalisation of torch, with scale and shift."""

import random
from functools import partial
from typing import ClassVar

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.layernorm import LayernormQuery


class TorchLayernorm(TorchKernels[LayernormQuery]):
    """Measures layer normalisation."""

    operator: ClassVar[str] = "layernorm"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[LayernormQuery]:
        """Rows and widths over all decades."""
        return case_of("layernorm", rows=rows(rng, 4 * largest), hidden=width(rng, largest), dtype=dtype)

    def size(self, query: LayernormQuery) -> Size:
        """Mean, variance, scale and shift; input and output touched once."""
        numbers = query.rows * query.hidden
        return Size(7 * numbers, 2 * numbers * DTYPES[query.dtype].a_bytes)

    def probe(self, dtype: str, scale: int) -> KernelCase[LayernormQuery]:
        """Rows of 1024 values."""
        return case_of("layernorm", rows=16 * scale, hidden=1024, dtype=dtype)

    def call(self, query: LayernormQuery) -> Call:
        """The normalisation of a row-major input."""
        hidden = (query.hidden,)
        x, scale, shift = self.operands.inputs(query.dtype, (query.rows, query.hidden), hidden, hidden)
        return partial(self.torch.nn.functional.layer_norm, x, hidden, scale, shift)
