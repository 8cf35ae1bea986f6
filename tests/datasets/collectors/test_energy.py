"""Sensors against a powercap folder and an NVML written by the tests; no counter of this machine is read."""

import gc
import threading
from types import SimpleNamespace

import pytest

from foretell.datasets.collectors.base import Availability
from foretell.datasets.collectors.energy import NoEnergy, NvmlEnergy, RaplEnergy, SampledEnergy, energy_of

RANGE_UJ = 262_143_328_850


def zone(root, folder, name, energy_uj, limit_uw=None):
    path = root / folder
    path.mkdir()
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    if limit_uw is not None:
        (path / "constraint_0_power_limit_uw").write_text(f"{limit_uw}\n")
    return path / "energy_uj"


def test_rapl_adds_up_packages_and_memory_but_not_their_parts(tmp_path):
    counters = [
        zone(tmp_path, "intel-rapl:0", "package-0", 1000, limit_uw=150_000_000),
        zone(tmp_path, "intel-rapl:1", "package-1", 1000, limit_uw=150_000_000),
        zone(tmp_path, "intel-rapl:0:0", "core", 1000),
        zone(tmp_path, "intel-rapl:0:1", "dram", 1000),
        zone(tmp_path, "intel-rapl:2", "psys", 1000),
    ]
    sensor = RaplEnergy(tmp_path)
    start_mj = sensor.total_mj()
    for counter in counters:
        counter.write_text("6000\n")
    assert sensor.total_mj() - start_mj == pytest.approx(3 * 5.0)
    assert sensor.power_limit_w() == 300.0


def test_rapl_goes_on_when_the_counter_wraps_around(tmp_path):
    counter = zone(tmp_path, "intel-rapl:0", "package-0", RANGE_UJ - 999)
    sensor = RaplEnergy(tmp_path)
    start_mj = sensor.total_mj()
    counter.write_text("2000\n")
    assert sensor.total_mj() - start_mj == pytest.approx(3.0)


def test_rapl_says_when_there_is_none(tmp_path):
    answer = RaplEnergy(tmp_path).available()
    assert not answer
    assert "no RAPL" in answer.reason


def test_rapl_says_when_it_may_not_read(tmp_path, monkeypatch):
    counter = zone(tmp_path, "intel-rapl:0", "package-0", 1000)
    read = type(counter).read_text

    def forbidden(self, *args, **options):
        if self.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(self))
        return read(self, *args, **options)

    monkeypatch.setattr(type(counter), "read_text", forbidden)  # root reads what is not readable
    answer = RaplEnergy(tmp_path).available()
    assert not answer
    assert "Permission denied" in answer.reason


class NVMLError(Exception):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class FakeNvml(SimpleNamespace):
    """A double of `pynvml` with one device."""

    NVMLError = NVMLError
    NVMLError_NotSupported = NVMLError_NotSupported

    def nvmlInit(self):
        if self.__dict__.get("missing"):
            raise NVMLError("NVML Shared Library Not Found")

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        if self.__dict__.get("old"):
            raise NVMLError_NotSupported("Not Supported")
        self.energy_mj += self.step_mj
        return self.energy_mj

    def nvmlDeviceGetPowerUsage(self, handle):
        return 70_000

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):
        return 300_000

    def nvmlSystemGetDriverVersion(self):
        return "570.1"


def test_nvml_without_a_driver_says_so():
    sensor = NvmlEnergy(nvml=FakeNvml(missing=True))
    assert sensor.available().reason == "NVML: NVML Shared Library Not Found"
    assert sensor.driver() is None


def test_nvml_reads_the_counter_and_the_limit():
    sensor = NvmlEnergy(nvml=FakeNvml(energy_mj=500, step_mj=20))
    assert sensor.available()
    assert sensor.total_mj() == 540.0
    assert (sensor.power_limit_w(), sensor.driver()) == (300.0, "570.1")


def test_a_device_without_counter_is_sampled():
    sensor = NvmlEnergy(nvml=FakeNvml(old=True))
    assert sensor.available()
    first_mj = sensor.total_mj()
    assert sensor.total_mj() > first_mj


class Steps:
    """A clock and a meter in one: each sample of the loop takes 10 ms and 5 J."""

    window_s = 0.1

    def __init__(self, step_mj=5000.0):
        self.now_ns, self.used_mj, self.step_mj = 0, 100.0, step_mj

    def __call__(self):
        self.now_ns += 10_000_000
        self.used_mj += self.step_mj
        return 0.0

    def available(self):
        return Availability(True)

    def total_mj(self):
        return self.used_mj

    def power_limit_w(self):
        return 700.0


def test_energy_of_a_call_is_what_the_loop_used_over_its_calls():
    steps = Steps()
    energy = energy_of(steps, 4, steps, lambda: steps.now_ns)
    assert energy.energy_mj == pytest.approx(5000 / 4)
    assert energy.power_w == pytest.approx(500.0)
    assert energy.power_limit_w == 700.0


def test_a_counter_that_stands_still_gives_no_energy_but_a_reason():
    steps = Steps(step_mj=0.0)
    energy = energy_of(steps, 1, steps, lambda: steps.now_ns)
    assert energy.energy_mj is None
    assert "did not move" in energy.reason


def test_no_sensor_gives_its_reason():
    energy = energy_of(lambda: 1.0, 1, NoEnergy("it is a toaster"))
    assert (energy.energy_mj, energy.reason) == (None, "it is a toaster")


def samplers():
    return {thread for thread in threading.enumerate() if thread.name == "power-sampler"}


def test_sampled_power_integrates_to_energy():
    clock = iter(range(0, 10**12, 1_000_000_000))
    lock = threading.Lock()

    def tick():
        with lock:
            return next(clock)

    sensor = SampledEnergy(lambda: 50.0, interval_s=60.0, clock_ns=tick)
    first_mj = sensor.total_mj()
    assert sensor.total_mj() - first_mj == pytest.approx(50.0 * 1e3)  # one tick of a second
    sensor.close()


@pytest.mark.parametrize(
    "make", [lambda: SampledEnergy(lambda: 50.0), lambda: NvmlEnergy(nvml=FakeNvml(old=True))]
)
def test_a_sensor_that_is_collected_stops_its_thread(make):
    before, sensor = samplers(), make()
    sensor.total_mj()
    (thread,) = samplers() - before
    del sensor
    gc.collect()
    thread.join(timeout=120)
    assert not thread.is_alive()


def test_a_meter_that_cannot_be_read_raises_where_it_is_asked():
    def broken():
        raise OSError("no such meter")

    before = samplers()
    with pytest.raises(OSError, match="no such meter"):
        SampledEnergy(broken).total_mj()
    assert samplers() <= before
