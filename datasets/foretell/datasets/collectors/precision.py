"""The precision of float32 kernels, set for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def float32_precision(torch: ModuleType, precision: str) -> Iterator[None]:
    """Set the precision of float32 products explicitly, whatever the process had, and put that back."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
