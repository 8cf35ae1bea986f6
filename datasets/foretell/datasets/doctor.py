"""What can be measured on this machine, and what is missing for the rest: a line each, with the remedy."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from foretell.datasets.collectors.energy import NvmlEnergy, RaplEnergy
from foretell.datasets.collectors.gemm import TorchGemm
from foretell.datasets.collectors.kernels import DeviceType, usable_cores

OLDEST_PYTHON: Final = (3, 11)
BUSY: Final = 0.5
"""Load per core above which timings of all cores are no longer worth taking."""
LEAST_FREE_GB: Final = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that foretell looked for.

    Attributes:
        name: what it is.
        ok: whether it is there and usable.
        detail: what was found.
        remedy: what to do about it; empty where nothing is missing.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def findings(store: Path | None = None) -> list[Finding]:
    """Look at everything; nothing that is missing raises.

    Args:
        store: folder of the row store; the current folder where null. It need not exist.
    """
    found = [_python(), _cores(), _load(), *_torch(), _nvml(), _rapl(), _perf(), _aiconfigurator()]
    return [*found, _disk(store or Path.cwd())]


def _python() -> Finding:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    ok = sys.version_info >= OLDEST_PYTHON
    return Finding("python", ok, platform.python_version(), "" if ok else f"install Python {oldest} or newer")


def _cores() -> Finding:
    usable, present = usable_cores(), os.cpu_count() or 1
    return Finding("cores", True, f"{usable} of {present} usable, {platform.machine()}")


def _load() -> Finding:
    """Whether the machine is idle enough for timings."""
    if not hasattr(os, "getloadavg"):
        return Finding("load", False, "this system has no load average", "make sure that nothing else runs")
    load_1m, cores = os.getloadavg()[0], usable_cores()
    detail = f"load {load_1m:.1f} on {cores} cores"
    if load_1m <= BUSY * cores:
        return Finding("load", True, detail)
    return Finding("load", False, f"{detail}: busy", "stop other work, or measure with one thread")


def _torch() -> Iterator[Finding]:
    if find_spec("torch") is None:
        remedy = "pip install 'foretell[torch]'"
        yield from (
            Finding(name, False, "torch is not installed", remedy) for name in ("torch", "torch cuda")
        )
        return
    yield Finding("torch", True, metadata.version("torch"))
    yield _products("cpu", "install a build of torch for this processor")
    yield _products("cuda", "on a machine with an NVIDIA device: its driver, and a CUDA build of torch")


def _products(device_type: DeviceType, remedy: str) -> Finding:
    """Data types that torch multiplies on a type of device."""
    collector = TorchGemm("doctor", device_type=device_type)
    name = f"torch {device_type}"
    if not (answer := collector.available()):
        return Finding(name, False, answer.reason, remedy)
    dtypes = collector.dtypes()
    return Finding(name, bool(dtypes), "gemm in " + ", ".join(dtypes), "" if dtypes else remedy)


def _nvml() -> Finding:
    sensor = NvmlEnergy()
    if not (answer := sensor.available()):
        return Finding("energy nvml", False, answer.reason, "on a machine with an NVIDIA device: its driver")
    return Finding("energy nvml", True, f"driver {sensor.driver()}, power limit {sensor.power_limit_w()} W")


def _rapl() -> Finding:
    if answer := RaplEnergy().available():
        return Finding("energy rapl", True, "processor package counters are readable")
    readable = "as root: chmod a+r /sys/class/powercap/intel-rapl:*/energy_uj"
    hidden = "measure on the bare machine; a virtual one shows no counters"
    remedy = readable if "cannot be read" in answer.reason else hidden
    return Finding("energy rapl", False, answer.reason, remedy)


def _perf() -> Finding:
    """Hardware counters: the program, the processor's own and this user's permission."""
    if shutil.which("perf") is None:
        return Finding("perf", False, "no perf program", "install the package linux-perf (or linux-tools)")
    if not Path("/sys/bus/event_source/devices/cpu").exists():
        return Finding("perf", False, "the processor shows no counters", "measure on the bare machine")
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    level = int(paranoid.read_text()) if paranoid.exists() else 4
    if level > 2 and os.geteuid() != 0:
        return Finding(
            "perf", False, f"perf_event_paranoid is {level}", "as root: sysctl kernel.perf_event_paranoid=2"
        )
    return Finding("perf", True, f"perf_event_paranoid is {level}")


def _aiconfigurator() -> Finding:
    if find_spec("aiconfigurator_core") is None:
        remedy = "pip install 'foretell[aiconfigurator]'"
        return Finding("aiconfigurator tables", False, "aiconfigurator-core is not installed", remedy)
    return Finding("aiconfigurator tables", True, metadata.version("aiconfigurator-core"))


def _disk(store: Path) -> Finding:
    """Space for rows, and the permission to write them."""
    folder = store.absolute()
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    detail = f"{free_gb:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        return Finding(
            "store", False, f"{folder} cannot be written", "set FORETELL_STORE to a folder of yours"
        )
    if free_gb < LEAST_FREE_GB:
        return Finding("store", False, detail, f"free {LEAST_FREE_GB:.0f} GB, or set another folder")
    return Finding("store", True, detail)
