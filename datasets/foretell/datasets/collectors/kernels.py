"""Measures operators through torch: the same code on a CPU and on a CUDA device, one module an operator.

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
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar, Final, Generic, Literal

from foretell.datasets.collectors import shapes
from foretell.datasets.collectors.base import Availability, Energy, Measurement, Provenance, Timing
from foretell.datasets.collectors.cases import KernelCase, Q, Size
from foretell.datasets.collectors.energy import NvmlEnergy, Sensor, energy_of, find_sensor
from foretell.datasets.collectors.operands import Operands
from foretell.datasets.collectors.precision import float32_precision
from foretell.datasets.collectors.shapes import Bounds
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
from foretell.errors import InputError, UnavailableError, one_of

DeviceType = Literal["cpu", "cuda"]
PLAIN: Final = ("float32", "bfloat16", "float16")
"""Data types that torch runs every operator in, under names that both share."""
PROBE_SCALES: Final[dict[DeviceType, int]] = {"cpu": 8, "cuda": 64}
"""How large a probe must be to run near the best rate: a GPU takes some microseconds to start at all."""
CUDA_BOUNDS: Final = Bounds(largest=2**16, max_bytes=2 * 2**30)


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class TorchKernels(ABC, Generic[Q]):
    """Measures the cases of one operator through torch; a subclass says which, and how torch calls it.

    Args:
        device: name of the device row that the measurements belong to.
        device_type: ``cpu`` or ``cuda`` (torch's current CUDA device).
        threads: threads of a CPU kernel; as many as there are usable cores where null. Another number is
            another way to run, and is part of the backend's name: ``torch-1t``.
        rule: when a timing has settled; by type of device where null.
        timer: by type of device where null.
        sensor: energy; what the device has where null.
        clock_ns: monotonic clock of the time limits.
        seed: seed of the operands.
    """

    kind: Final = "kernel"
    operator: ClassVar[str]
    types: ClassVar[dict[DeviceType, Sequence[str]]] = {"cpu": PLAIN, "cuda": PLAIN}
    """Data types that torch may have the operator in."""

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
        if device_type not in self.types:
            raise InputError("device_type", device_type, one_of(self.types))
        if threads is not None and not 1 <= threads <= usable_cores():
            raise InputError("threads", threads, f"1 to {usable_cores()}")
        self._device = device
        self.device_type = device_type
        self._threads = threads or usable_cores()
        self._rule = rule or (CPU_RULE if device_type == "cpu" else CUDA_RULE)
        self._timer_option = timer
        self._sensor_option = sensor
        self._clock_ns = clock_ns
        self._seed = seed

    @abstractmethod
    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[Q]:
        """A case with dimensions up to about `largest`."""

    @abstractmethod
    def size(self, query: Q) -> Size:
        """What a call takes, about."""

    @abstractmethod
    def probe(self, dtype: str, scale: int) -> KernelCase[Q]:
        """A plain case that no kernel is too narrow for; its work grows with `scale`, 1 or more."""

    @abstractmethod
    def call(self, query: Q) -> Call:
        """The call, with its operands laid out.

        Raises:
            UnavailableError: torch has no such kernel.
        """

    def setting(self, query: Q) -> AbstractContextManager[Any]:
        """Within what the call must run: float32 is float32."""
        del query
        return float32_precision(self.torch, "highest")

    def available(self) -> Availability:
        """Yes, or no where torch or the device is missing."""
        if find_spec("torch") is None:
            return Availability(False, "torch is not installed: pip install 'foretell[torch]'")
        if self.device_type == "cuda" and not self.torch.cuda.is_available():
            return Availability(False, "torch finds no CUDA device (it may be a CPU build)")
        return Availability(True)

    def provenance(self) -> Provenance:
        """This machine, torch and its threads."""
        self._require()
        return self._provenance

    def dtypes(self) -> tuple[str, ...]:
        """Data types that this device runs, found by trying each once."""
        self._require()
        tried = self.types[self.device_type]
        return tuple(name for name in tried if self.measure_once(self.probe(name, 1)) is not None)

    def cases(self, dtypes: Sequence[str] = (), *, seed: int = 0) -> Iterator[KernelCase[Q]]:
        """A stream of cases for this device, see `foretell.datasets.collectors.shapes.cases`.

        Args:
            dtypes: those that the device runs where empty.
            seed: of the stream.
        """
        dtypes = dtypes or self.dtypes()
        return shapes.cases(self.draw, self.size, dtypes, seed=seed, bounds=self.bounds(dtypes))

    def bounds(self, dtypes: Sequence[str] = (), *, limit_s: float = 0.005) -> Bounds:
        """Bounds of cases whose calls take up to about `limit_s`, from a first run of each data type.

        Large plain cases run near the device's best rate; a case at the bound that runs worse takes longer,
        and `Settle.min_repeats` says how often it is run nevertheless. Bounds are powers of two, so that a
        machine mostly comes out with the same ones again.
        """
        rates = {name: self._operations_per_s(name) for name in dtypes or self.dtypes()}
        caps = {name: 2.0 ** round(math.log2(rate * limit_s)) for name, rate in rates.items()}
        usual = Bounds() if self.device_type == "cpu" else CUDA_BOUNDS
        return Bounds(usual.largest, usual.operations, caps, usual.max_bytes)

    def overhead_us(self) -> float | None:
        """What reading the clock adds to a sample at most; null where a device's own events time it."""
        return self._timer.overhead_us() if isinstance(self._timer, HostTimer) else None

    def measure(self, case: KernelCase[Q]) -> Measurement:
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

    def measure_once(self, case: KernelCase[Q]) -> float | None:
        """Time of one call, s, without warm-up; null where it fails."""
        self._require()
        try:
            call = self._call(case)
            with self.setting(case.query):
                return self._timer.prepare(call, 1)() / 1e6
        except (RuntimeError, MemoryError, UnavailableError):
            return None

    def _try(self, case: KernelCase[Q]) -> tuple[Timing | None, Energy, str | None]:
        try:
            call = self._call(case)
            with self.setting(case.query):
                timing = time_call(call, self._timer, self._rule, self._clock_ns)
                return timing, self._energy(call, timing), None
        # torch raises RuntimeError for what it cannot run and where memory ends.
        except (RuntimeError, MemoryError, UnavailableError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            return None, Energy(reason="the case failed"), reason

    def _call(self, case: KernelCase[Q]) -> Call:
        dtype = case.query.dtype
        if case.operator != self.operator:
            raise UnavailableError(f"this collector measures {self.operator}, not {case.operator}")
        if dtype not in self.types[self.device_type]:
            raise UnavailableError(f"torch has no {self.operator} in {dtype} on {self.device_type}")
        return self.call(case.query)

    def _energy(self, call: Call, timing: Timing) -> Energy:
        answer = self._sensor.available()
        if not answer:
            return Energy(reason=answer.reason)
        calls = timing.calls_per_repeat or 1
        return energy_of(self._timer.prepare(call, calls), calls, self._sensor, self._clock_ns)

    def _operations_per_s(self, dtype: str) -> float:
        case = self.probe(dtype, PROBE_SCALES[self.device_type])
        times = [self.measure_once(case) for _ in range(5)]
        return self.size(case.query).operations / min(seconds for seconds in times if seconds is not None)

    def _require(self) -> None:
        if not (answer := self.available()):
            raise UnavailableError(answer.reason)
        if self.device_type == "cpu":
            self.torch.set_num_threads(self._threads)

    @cached_property
    def torch(self) -> ModuleType:
        """The module, imported on use."""
        import torch  # noqa: PLC0415 (heavy)

        return torch

    @cached_property
    def operands(self) -> Operands:
        """Buffers of this device."""
        return Operands(self.torch, self.device_type, self._seed)

    @cached_property
    def _timer(self) -> Timer:
        if self._timer_option is not None:
            return self._timer_option
        return HostTimer() if self.device_type == "cpu" else CudaTimer(self.torch.cuda)

    @cached_property
    def _sensor(self) -> Sensor:
        return self._sensor_option or find_sensor(self.device_type, self._uuid())

    def _uuid(self) -> str | None:
        if self.device_type == "cpu":
            return None
        return f"GPU-{self.torch.cuda.get_device_properties(self.torch.cuda.current_device()).uuid}"

    @cached_property
    def _provenance(self) -> Provenance:
        on_cpu = self.device_type == "cpu"
        whole = not on_cpu or self._threads == usable_cores()
        return Provenance(
            device=self._device,
            backend="torch" if whole else f"torch-{self._threads}t",
            backend_version=str(self.torch.__version__),
            origin=f"collector/{platform.node() or 'unnamed'}",
            host=platform.node(),
            driver=None if on_cpu else NvmlEnergy(self._uuid()).driver(),
            threads=self._threads if on_cpu else None,
            foretell_version=metadata.version("foretell"),
        )


def _load_1m() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
