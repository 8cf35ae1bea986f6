"""Measures matrix products through torch: the same code on a CPU and on a CUDA device.

What is measured is the warm state: the same operands again and again, so those that fit a cache lie in it, as
the weights of a small layer do while it serves. On a CPU the time includes torch's own dispatch (about 2 us),
since a caller pays it too; on a CUDA device it is the device's time, from events around a replayed graph.

On a machine shared with others, one thread and a low quantile come out within 2 to 3 % when measured again
(docs/log.md). As many threads as cores do so on an idle machine only: whenever one of them is interrupted,
the call waits a whole slice of the scheduler's time, which made small products a thousand times slower.
"""

import math
import os
import platform
import time
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType
from typing import Final, Literal

from foretell.datasets.collectors.base import Availability, Energy, Measurement, Provenance, Timing
from foretell.datasets.collectors.energy import NvmlEnergy, Sensor, energy_of, find_sensor
from foretell.datasets.collectors.products import PRODUCTS, Operands
from foretell.datasets.collectors.shapes import Bounds, GemmCase
from foretell.datasets.collectors.timing import (
    CPU_RULE,
    CUDA_RULE,
    Call,
    ClockNs,
    CudaTimer,
    HostTimer,
    Settle,
    Timer,
    time_call,
)
from foretell.errors import InputError, UnavailableError

DeviceType = Literal["cpu", "cuda"]
PROBE: Final = 64
"""Size of the product that tries a data type once: no kernel is too narrow for it."""
RATE_PROBE: Final = 512
"""Size of the product from which the bounds of a case are set."""
CUDA_MULTIPLES: Final = {"int8": 8, "fp8": 16}
"""cuBLASLt takes int8 and fp8 only where n and k are multiples of these, and int8 only for m > 16."""


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class TorchGemm:
    """Measures `GemmCase`s through torch.

    Args:
        device: name of the device row that the measurements belong to.
        device_type: ``cpu`` or ``cuda`` (torch's current CUDA device).
        threads: threads of a CPU product; as many as there are usable cores where null. Another number is
            another way to run, and is part of the backend's name: ``torch-1t``.
        rule: when a timing has settled; by type of device where null.
        timer: by type of device where null.
        sensor: energy; what the device has where null.
        clock_ns: monotonic clock of the time limits.
        seed: seed of the operands.
    """

    kind: Final = "kernel"

    def __init__(
        self,
        device: str,
        *,
        device_type: DeviceType = "cpu",
        threads: int | None = None,
        rule: Settle | None = None,
        timer: Timer | None = None,
        sensor: Sensor | None = None,
        clock_ns: ClockNs = time.perf_counter_ns,
        seed: int = 0,
    ) -> None:
        if device_type not in PRODUCTS:
            raise InputError("device_type", device_type, "cpu or cuda")
        if threads is not None and not 1 <= threads <= usable_cores():
            raise InputError("threads", threads, f"1 to {usable_cores()}")
        self._device = device
        self._device_type = device_type
        self._threads = threads or usable_cores()
        self._rule = rule or (CPU_RULE if device_type == "cpu" else CUDA_RULE)
        self._timer_option = timer
        self._sensor_option = sensor
        self._clock_ns = clock_ns
        self._seed = seed

    def available(self) -> Availability:
        """Yes, or no where torch or the device is missing."""
        if find_spec("torch") is None:
            return Availability(False, "torch is not installed: pip install 'foretell[torch]'")
        if self._device_type == "cuda" and not self._torch.cuda.is_available():
            return Availability(False, "torch finds no CUDA device (it may be a CPU build)")
        return Availability(True)

    def provenance(self) -> Provenance:
        """This machine, torch and its threads."""
        self._require()
        return self._provenance

    def dtypes(self) -> tuple[str, ...]:
        """Data types that this device multiplies, found by trying each once."""
        self._require()
        return tuple(name for name in PRODUCTS[self._device_type] if self._multiplies(name))

    def bounds(self, limit_s: float = 0.005) -> Bounds:
        """Bounds of cases whose calls take up to about `limit_s`, from a first run of each data type.

        Large square products run near the device's best rate; a case at the bound that runs worse takes
        longer, and `Settle.min_repeats` says how often it is run nevertheless. Bounds are powers of two, so
        that a machine mostly comes out with the same ones again.
        """
        operations = 2 * RATE_PROBE**3
        rates = {name: operations / self._probe_s(name) for name in self.dtypes()}
        caps = {name: 2.0 ** round(math.log2(rate * limit_s)) for name, rate in rates.items()}
        if self._device_type == "cpu":
            return Bounds(max_operations=caps)
        return Bounds(
            max_m=2**16,
            max_n=2**16,
            max_k=2**16,
            max_operations=caps,
            max_bytes=2 * 2**30,
            multiple_of=CUDA_MULTIPLES,
            min_m={"int8": 17},
        )

    def overhead_us(self) -> float | None:
        """What reading the clock adds to a sample at most; null where a device's own events time it."""
        return self._timer.overhead_us() if isinstance(self._timer, HostTimer) else None

    def measure(self, case: GemmCase) -> Measurement:
        """Run one case until its time has settled, then its energy where there is a sensor."""
        self._require()
        started_ns, measured_at, load_1m = self._clock_ns(), datetime.now(UTC), _load_1m()
        timing, energy, reason = self._try(case)
        return Measurement(
            case=case,
            provenance=self._provenance,
            status="failed" if timing is None else "ok",
            reason=reason,
            timing=timing,
            energy=energy,
            load_1m=load_1m,
            started_ns=started_ns,
            measured_at=measured_at,
        )

    def _try(self, case: GemmCase) -> tuple[Timing | None, Energy, str | None]:
        try:
            call, setting = self._operands.call(case)
            with setting:
                timing = time_call(call, self._timer, self._rule, self._clock_ns)
                return timing, self._energy(call, timing), None
        # torch raises RuntimeError for what it cannot multiply and where memory ends.
        except (RuntimeError, MemoryError, UnavailableError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return None, Energy(reason="the case failed"), reason

    def _energy(self, call: Call, timing: Timing) -> Energy:
        answer = self._sensor.available()
        if not answer:
            return Energy(reason=answer.reason)
        calls = timing.calls_per_repeat or 1
        return energy_of(self._timer.prepare(call, calls), calls, self._sensor, self._clock_ns)

    def _multiplies(self, dtype: str) -> bool:
        return self.measure_once(GemmCase(PROBE, PROBE, PROBE, dtype)) is not None

    def _probe_s(self, dtype: str) -> float:
        times = [self.measure_once(GemmCase(RATE_PROBE, RATE_PROBE, RATE_PROBE, dtype)) for _ in range(5)]
        return min(seconds for seconds in times if seconds is not None)

    def measure_once(self, case: GemmCase) -> float | None:
        """Time of one call, s, without warm-up; null where it fails."""
        self._require()
        try:
            call, setting = self._operands.call(case)
            with setting:
                return self._timer.prepare(call, 1)() / 1e6
        except (RuntimeError, MemoryError, UnavailableError):
            return None

    def _require(self) -> None:
        if not (answer := self.available()):
            raise UnavailableError(answer.reason)
        if self._device_type == "cpu":
            self._torch.set_num_threads(self._threads)

    @cached_property
    def _torch(self) -> ModuleType:
        import torch  # noqa: PLC0415 (heavy)

        return torch

    @cached_property
    def _operands(self) -> Operands:
        return Operands(self._torch, self._device_type, self._seed)

    @cached_property
    def _timer(self) -> Timer:
        if self._timer_option is not None:
            return self._timer_option
        return HostTimer() if self._device_type == "cpu" else CudaTimer(self._torch.cuda)

    @cached_property
    def _sensor(self) -> Sensor:
        return self._sensor_option or find_sensor(self._device_type, self._uuid())

    def _uuid(self) -> str | None:
        if self._device_type == "cpu":
            return None
        return f"GPU-{self._torch.cuda.get_device_properties(self._torch.cuda.current_device()).uuid}"

    @cached_property
    def _provenance(self) -> Provenance:
        on_cpu = self._device_type == "cpu"
        whole = not on_cpu or self._threads == usable_cores()
        return Provenance(
            device=self._device,
            backend="torch" if whole else f"torch-{self._threads}t",
            backend_version=str(self._torch.__version__),
            origin=f"collector/{platform.node() or 'unnamed'}",
            host=platform.node(),
            driver=None if on_cpu else NvmlEnergy(self._uuid()).driver(),
            threads=self._threads if on_cpu else None,
            foretell_version=metadata.version("foretell"),
        )


def _load_1m() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
