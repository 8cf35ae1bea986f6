"""Batched matrix products of torch, row-major and into a preallocated output."""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import PLAIN, DeviceType, TorchKernels
from foretell.datasets.collectors.precision import float32_precision
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.bmm import BmmQuery


class TorchBmm(TorchKernels[BmmQuery]):
    """Measures batched matrix products."""

    operator: ClassVar[str] = "bmm"
    types: ClassVar[dict[DeviceType, Sequence[str]]] = {
        "cpu": (*PLAIN, "float64"),
        "cuda": (*PLAIN, "tf32", "float64"),
    }

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[BmmQuery]:
        """Many small products or a few large ones."""
        batch, m = rows(rng, largest // 16), rows(rng, largest // 4)
        n, k = width(rng, largest // 4), width(rng, largest // 4)
        return case_of("bmm", batch=batch, m=m, n=n, k=k, dtype=dtype)

    def size(self, query: BmmQuery) -> Size:
        """Both inputs and the output of each product, each touched once."""
        m, n, k, element = query.m, query.n, query.k, DTYPES[query.dtype].a_bytes
        return Size(query.batch * 2 * m * n * k, query.batch * (m * k + k * n + m * n) * element)

    def probe(self, dtype: str, scale: int) -> KernelCase[BmmQuery]:
        """Four square products."""
        return case_of("bmm", batch=4, m=32 * scale, n=32 * scale, k=32 * scale, dtype=dtype)

    def call(self, query: BmmQuery) -> Call:
        """The products into a preallocated output."""
        name = "float32" if query.dtype == "tf32" else query.dtype
        a, b = self.operands.inputs(name, (query.batch, query.m, query.k), (query.batch, query.k, query.n))
        out = self.operands.output(name, (query.batch, query.m, query.n))
        return partial(self.torch.bmm, a, b, out=out)

    def setting(self, query: BmmQuery) -> AbstractContextManager[Any]:
        """tf32 is float32 with less precision."""
        return float32_precision(self.torch, "high" if query.dtype == "tf32" else "highest")
