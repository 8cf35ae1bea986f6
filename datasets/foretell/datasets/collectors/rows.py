"""From measurements of kernels to rows of the kind `kernel`."""

from collections.abc import Iterable
from typing import Final

import polars as pl

from foretell.datasets.collectors.base import Measurement
from foretell.datasets.kernel import Kernel

SCHEMA: Final = {name: column.dtype for name, column in Kernel.columns().items()}


def kernel_rows(measurements: Iterable[Measurement]) -> pl.DataFrame:
    """One row a measurement, failed ones included, with exactly the columns and types of `Kernel`."""
    return pl.DataFrame([_row(m) for m in measurements], schema=SCHEMA)


def _row(measurement: Measurement) -> dict[str, object]:
    timing, energy = measurement.timing, measurement.energy
    return {
        **measurement.case.columns(),
        **measurement.provenance.columns(),
        "status": measurement.status,
        "reason": measurement.reason,
        "latency_us": timing and timing.latency_us,
        "latency_spread": timing and timing.spread,
        "repeats": timing and timing.repeats,
        "power_w": energy.power_w,
        "power_limit_w": energy.power_limit_w,
        "energy_mj": energy.energy_mj,
        "energy_reason": energy.reason,
        "load_1m": measurement.load_1m,
        "measured_at": measurement.measured_at,
    }
