"""Measuring into the store with a bar that shows how far it is."""

from collections.abc import Iterable
from typing import Any

from foretell.datasets.collectors.bar import progress_bar
from foretell.datasets.collectors.campaign import Progress, run
from foretell.datasets.collectors.cases import KernelCase
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.store import Store


def measure(
    collector: TorchKernels[Any], cases: Iterable[KernelCase[Any]], store: Store, seconds: float
) -> Progress:
    """Measure cases that the store does not have, until the time is over; the store keeps them."""
    with progress_bar(seconds) as report:
        return run(
            collector,
            cases,
            append=lambda rows: store.append("kernel", rows),
            budget_s=seconds,
            already=store.scan("kernel").collect(),
            report=report,
        )
