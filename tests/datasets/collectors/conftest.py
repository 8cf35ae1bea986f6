"""Recordings and cases that the tests of several collectors share."""

from datetime import UTC, datetime

import polars as pl
import pytest

from foretell.datasets.collectors.base import Energy, Measurement, Provenance, Timing
from foretell.datasets.collectors.rows import kernel_rows
from foretell.datasets.collectors.shapes import GemmCase

PLACE = Provenance("h200", "torch", "2.13.0", "collector/node7", "node7", "570.1", None, "0.1.0")


@pytest.fixture(scope="session")
def cases() -> list[GemmCase]:
    """Three small products: plain, skinny and odd."""
    return [GemmCase(32, 48, 64, "float32"), GemmCase(1, 96, 32, "bfloat16"), GemmCase(7, 13, 31, "float64")]


@pytest.fixture(scope="session")
def recording(cases) -> pl.DataFrame:
    """Rows as a CUDA collector stores them, with energy and without."""
    energies = [Energy(12.5, 480.0, 700.0), Energy(reason="the energy counter did not move in 1.000 s")]
    return kernel_rows(
        Measurement(
            case=case,
            provenance=PLACE,
            status="ok",
            reason=None,
            timing=Timing(4.5 + i, 0.01, 40),
            energy=energies[i % 2],
            load_1m=0.5,
            started_ns=i,
            measured_at=datetime(2026, 11, 1, 12, i, tzinfo=UTC),
        )
        for i, case in enumerate(cases)
    )
