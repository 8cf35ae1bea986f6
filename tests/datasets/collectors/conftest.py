"""Recordings and cases that the tests of several collectors share."""

from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import polars as pl
import pytest

from foretell.datasets.collectors.base import Availability, Energy, Measurement, Provenance, Timing
from foretell.datasets.collectors.cases import KernelCase, case_of
from foretell.datasets.collectors.rows import kernel_rows

PLACE = Provenance("h200", "torch", "2.13.0", "collector/node7", "node7", "570.1", None, "0.1.0")


@pytest.fixture(scope="session")
def gemm():
    """Makes the case of a product."""

    def make(m: int, n: int, k: int, dtype: str = "float32") -> KernelCase:
        return case_of("gemm", m=m, n=n, k=k, dtype=dtype)

    return make


@pytest.fixture(scope="session")
def cases(gemm) -> list[KernelCase]:
    """Three small products: plain, skinny and odd."""
    return [gemm(32, 48, 64), gemm(1, 96, 32, "bfloat16"), gemm(7, 13, 31, "float64")]


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


class FakeCuda:
    """A double of `torch.cuda`: events hold a device clock that a graph's replay moves; no device is used."""

    def __init__(self, call_ms):
        self.call_ms, self.device_ms, self.captured, self.log = call_ms, 0.0, 0, []
        self.capturing = False

    def is_available(self):
        return True

    def current_device(self):
        return 0

    def get_device_properties(self, device):
        return SimpleNamespace(uuid=f"made-up-{device}")

    def Event(self, enable_timing):
        assert enable_timing
        return FakeEvent(self)

    def Stream(self):
        return FakeStream(self)

    current_stream = Stream

    @contextmanager
    def stream(self, stream):
        yield

    def CUDAGraph(self):
        return FakeGraph(self)

    @contextmanager
    def graph(self, graph, stream):
        self.capturing = True
        yield
        self.capturing = False

    def call(self):
        if self.capturing:
            self.captured += 1


class FakeStream:
    def __init__(self, cuda):
        self.cuda = cuda

    def wait_stream(self, other):
        self.cuda.log.append("wait")


class FakeGraph:
    def __init__(self, cuda):
        self.cuda = cuda

    def replay(self):
        self.cuda.device_ms += self.cuda.captured * self.cuda.call_ms


class FakeEvent:
    def __init__(self, cuda):
        self.cuda, self.at_ms, self.synchronised = cuda, None, False

    def record(self):
        self.at_ms, self.synchronised = self.cuda.device_ms, False

    def synchronize(self):
        self.synchronised = True

    def elapsed_time(self, end):
        assert end.synchronised, "read before the device was done"
        return end.at_ms - self.at_ms


@pytest.fixture(scope="session")
def make_cuda():
    """Makes a double of `torch.cuda`, each call of which takes `call_ms`."""
    return FakeCuda


class Meter:
    """A sensor that says a joule more at every reading."""

    window_s = 0.001

    def __init__(self):
        self.read = 0

    def available(self):
        return Availability(True)

    def total_mj(self):
        self.read += 1
        return self.read * 1000.0

    def power_limit_w(self):
        return 250.0


@pytest.fixture
def meter():
    """The sensor."""
    return Meter()
