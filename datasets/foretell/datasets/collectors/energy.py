"""Energy of a call: counters of NVIDIA devices (NVML) and of processor packages (RAPL), or why there is none.

Every sensor is a total that only grows, in mJ, read before and after a steady loop. NVML moves its counter
every 20 to 100 ms, RAPL every millisecond, so the loop is `window_s` long: ten steps at least. A package
counter holds everything that runs on the package, idle power and neighbours included.
"""

import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

from foretell.datasets.collectors.base import Availability, Energy
from foretell.datasets.collectors.timing import ClockNs, Sample

POWERCAP: Final = Path("/sys/class/powercap")


class Sensor(Protocol):
    """A total of energy that only grows."""

    @property
    def window_s(self) -> float:
        """Shortest loop over which the difference of two readings means something."""
        ...

    def available(self) -> Availability:
        """Yes, or no with the reason."""
        ...

    def total_mj(self) -> float:
        """Energy since some fixed moment."""
        ...

    def power_limit_w(self) -> float | None:
        """The limit that the device was set to; null where it has none to read."""
        ...


@dataclass(frozen=True, slots=True)
class NoEnergy:
    """Stands where nothing measures energy, and says why."""

    reason: str
    window_s: float = 0.0

    def available(self) -> Availability:
        """No, with the reason."""
        return Availability(False, self.reason)

    def total_mj(self) -> float:
        """Never to be read."""
        raise NotImplementedError(self.reason)

    def power_limit_w(self) -> float | None:
        """Not known."""
        return None


class NvmlEnergy:
    """Total energy counter of an NVIDIA device, Volta or newer; sampled power on older ones.

    Args:
        uuid: the device's UUID, as NVML numbers devices regardless of `CUDA_VISIBLE_DEVICES`; the first one
            where null.
        nvml: the module `pynvml`, or a double of it; imported on use where null.
        window_s: see `Sensor`.
    """

    def __init__(
        self, uuid: str | None = None, nvml: ModuleType | None = None, window_s: float = 1.0
    ) -> None:
        self._uuid = uuid
        self._module = nvml
        self._window_s = window_s
        self._sampled: SampledEnergy | None = None

    @property
    def window_s(self) -> float:
        """Shortest loop over which the difference of two readings means something."""
        return self._window_s

    def available(self) -> Availability:
        """Yes where the driver answers with power or energy."""
        try:
            self.total_mj()
        except self._nvml().NVMLError as error:
            return Availability(False, f"NVML: {error}")
        return Availability(True)

    def total_mj(self) -> float:
        """The device's counter, or the integral of its sampled power where it has none."""
        if self._sampled is None:
            try:
                return float(self._nvml().nvmlDeviceGetTotalEnergyConsumption(self._handle()))
            except self._nvml().NVMLError_NotSupported:
                # Not by a method of this sensor: the sampling thread would keep it alive.
                self._sampled = SampledEnergy(partial(_power_w, self._nvml(), self._handle()))
        return self._sampled.total_mj()

    def power_limit_w(self) -> float | None:
        """The limit that is enforced at present; null where the device does not say."""
        try:
            return float(self._nvml().nvmlDeviceGetEnforcedPowerLimit(self._handle())) / 1e3
        except self._nvml().NVMLError:
            return None

    def driver(self) -> str | None:
        """Version of the driver; null where there is none."""
        try:
            self._handle()
            return str(self._nvml().nvmlSystemGetDriverVersion())
        except self._nvml().NVMLError:
            return None

    def _nvml(self) -> Any:
        if self._module is None:
            import pynvml  # noqa: PLC0415

            self._module = pynvml
        return self._module

    def _handle(self) -> object:
        nvml = self._nvml()
        nvml.nvmlInit()  # counts its calls; cheap once it runs
        if self._uuid is None:
            return nvml.nvmlDeviceGetHandleByIndex(0)
        return nvml.nvmlDeviceGetHandleByUUID(self._uuid)


def _power_w(nvml: Any, handle: object) -> float:
    """Power at present, averaged by the driver over up to a second."""
    return float(nvml.nvmlDeviceGetPowerUsage(handle)) / 1e3


@dataclass(slots=True)
class _Integral:
    """What the thread of `SampledEnergy` shares with it: not the sensor itself, which must be collectable."""

    read_power_w: Callable[[], float]
    interval_s: float
    clock_ns: ClockNs
    ready: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    total_mj: float = 0.0
    last_ns: int = 0
    last_w: float = 0.0

    def begin(self) -> None:
        self.last_w, self.last_ns = self.read_power_w(), self.clock_ns()

    def step(self) -> None:
        """Add the trapezoid since the last sample."""
        with self.lock:
            power_w, now_ns = self.read_power_w(), self.clock_ns()
            self.total_mj += (self.last_w + power_w) / 2 * (now_ns - self.last_ns) / 1e6
            self.last_w, self.last_ns = power_w, now_ns

    def run(self) -> None:
        self.begin()
        self.ready.set()
        while not self.stop.wait(self.interval_s):
            self.step()


class SampledEnergy:
    """The integral of sampled power, for devices that have no counter.

    A background thread samples from the first reading on, until `close` or until the sensor is collected.

    Args:
        read_power_w: reads the power at present, W.
        interval_s: time between samples.
        clock_ns: monotonic clock.
    """

    def __init__(
        self,
        read_power_w: Callable[[], float],
        interval_s: float = 0.05,
        clock_ns: ClockNs = time.perf_counter_ns,
    ) -> None:
        self._integral = _Integral(read_power_w, interval_s, clock_ns)
        self._thread: threading.Thread | None = None

    def total_mj(self) -> float:
        """Energy since the first reading, up to now."""
        if self._thread is None:
            self._start()
        else:
            self._integral.step()
        return self._integral.total_mj

    def close(self) -> None:
        """Stop sampling."""
        self._integral.stop.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        # Read once here, so that a sensor that cannot be read raises where it is asked.
        self._integral.read_power_w()
        self._thread = threading.Thread(target=self._integral.run, name="power-sampler", daemon=True)
        weakref.finalize(self, self._integral.stop.set)
        self._thread.start()
        self._integral.ready.wait()


@dataclass(slots=True)
class _Zone:
    """One RAPL counter, which wraps around."""

    path: Path
    range_uj: int
    last_uj: int
    total_uj: int = 0

    def read(self) -> int:
        now_uj = _number(self.path / "energy_uj")
        self.total_uj += (now_uj - self.last_uj) % (self.range_uj + 1)
        self.last_uj = now_uj
        return self.total_uj


class RaplEnergy:
    """Energy of all processor packages and their memory, from Linux powercap (Intel, and AMD since Zen).

    Args:
        root: the powercap folder of sysfs.
        window_s: see `Sensor`.
    """

    def __init__(self, root: Path = POWERCAP, window_s: float = 0.1) -> None:
        self._root = root
        self._window_s = window_s
        self._zones: list[_Zone] | None = None

    @property
    def window_s(self) -> float:
        """Shortest loop over which the difference of two readings means something."""
        return self._window_s

    def available(self) -> Availability:
        """Yes where there are package counters and this user may read them."""
        if not self._paths():
            return Availability(
                False, f"no RAPL package counters under {self._root} (virtual machines hide them)"
            )
        try:
            self.total_mj()
        except OSError as error:
            # Readable by root only since Linux 5.10, against power side channels (CVE-2020-8694).
            return Availability(False, f"RAPL counters cannot be read: {error.strerror} ({error.filename})")
        return Availability(True)

    def total_mj(self) -> float:
        """Energy since the first reading; must be read once a wrap (tens of minutes) at least."""
        if self._zones is None:
            self._zones = [_zone(path) for path in self._paths()]
        return sum(zone.read() for zone in self._zones) / 1e3

    def power_limit_w(self) -> float | None:
        """Sum of the packages' long-term limits; null where they have none."""
        limits = [path / "constraint_0_power_limit_uw" for path in self._paths() if _name(path) != "dram"]
        try:
            return sum(_number(limit) for limit in limits) / 1e6 or None
        except OSError:
            return None

    def _paths(self) -> list[Path]:
        """Packages, and memory where it is counted apart; cores are part of their package."""
        zones = sorted(self._root.glob("intel-rapl:*"))
        return [path for path in zones if _name(path).startswith("package") or _name(path) == "dram"]


def _zone(path: Path) -> _Zone:
    return _Zone(path, _number(path / "max_energy_range_uj"), _number(path / "energy_uj"))


def _name(path: Path) -> str:
    return (path / "name").read_text().strip()


def _number(path: Path) -> int:
    return int(path.read_text())


def find_sensor(device_type: str, uuid: str | None = None) -> Sensor:
    """The sensor of a device of type ``cpu`` or ``cuda``, or `NoEnergy` with the reason."""
    sensor: Sensor = NvmlEnergy(uuid) if device_type == "cuda" else RaplEnergy()
    answer = sensor.available()
    return sensor if answer else NoEnergy(answer.reason)


def energy_of(sample: Sample, calls: int, sensor: Sensor, clock_ns: ClockNs = time.perf_counter_ns) -> Energy:
    """Energy of one call, from a steady loop of samples of `calls` calls over the sensor's window."""
    answer = sensor.available()
    if not answer:
        return Energy(reason=answer.reason)
    start_mj, start_ns, samples = sensor.total_mj(), clock_ns(), 0
    while clock_ns() - start_ns < sensor.window_s * 1e9:
        sample()
        samples += 1
    used_mj, elapsed_s = sensor.total_mj() - start_mj, (clock_ns() - start_ns) / 1e9
    limit_w = sensor.power_limit_w()
    if used_mj <= 0 or samples == 0:
        return Energy(power_limit_w=limit_w, reason=f"the energy counter did not move in {elapsed_s:.3f} s")
    return Energy(used_mj / (samples * calls), used_mj / 1e3 / elapsed_s, limit_w)
