"""What a CPU says about itself: model, clock, caches and instruction sets, without privileges.

Linux tells in /proc and /sys, macOS through sysctl. Virtual machines leave out much of it; a fact that is
needed and not told is an `UnavailableError` that names it.
"""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from foretell.errors import UnavailableError

CPUS: Final = "sys/devices/system/cpu"
MAC_FEATURES: Final = {
    "hw.optional.arm.FEAT_FP16": "asimdhp",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
}


@dataclass(frozen=True, slots=True)
class Cpu:
    """Facts of the processor, as far as this process may use it.

    Attributes:
        vendor: as the CPU spells it, such as ``GenuineIntel``; empty where it does not say.
        model: product name.
        family: the number that x86 makers count generations by, or the part number of an ARM core.
        features: instruction sets, in the words of /proc/cpuinfo.
        threads: usable logical CPUs.
        cores: physical cores behind them; the threads of one core share its arithmetic units.
        clock_mhz: highest clock that the machine admits to.
        l1_kb: first-level data cache of one core, null where it is not told.
        last_level_cache_mb: sum of the last-level caches in reach.
    """

    vendor: str
    model: str
    family: int
    features: frozenset[str]
    threads: int
    cores: int
    clock_mhz: float
    l1_kb: float | None
    last_level_cache_mb: float


def read_cpu() -> Cpu:
    """Facts of the machine at hand.

    Raises:
        UnavailableError: names the fact that cannot be read here.
    """
    if platform.system() == "Darwin":
        listing = subprocess.run(
            ["/usr/sbin/sysctl", "-a"], capture_output=True, text=True, check=True
        ).stdout
        return from_sysctl(dict(line.split(": ", 1) for line in listing.splitlines() if ": " in line))
    if not hasattr(os, "sched_getaffinity"):
        raise UnavailableError(_missing(f"facts of a CPU under {platform.system()}"))
    return from_linux(Path("/"), frozenset(os.sched_getaffinity(0)))


def from_linux(root: Path, usable: frozenset[int]) -> Cpu:
    """Facts from ``proc`` and ``sys`` below `root`, for the logical CPUs in `usable`."""
    info = _cpuinfo(root)
    caches = _caches(root, usable)
    arm_name = f"ARM {info.get('CPU implementer', '')} {info.get('CPU part', '')}"
    return Cpu(
        vendor=info.get("vendor_id", ""),
        model=info.get("model name", arm_name),
        family=int(info.get("cpu family") or info.get("CPU part") or "0", 0),
        features=frozenset((info.get("flags") or info.get("Features") or "").split()),
        threads=len(usable),
        cores=_physical_cores(root, usable),
        clock_mhz=_clock_mhz(root, info),
        l1_kb=next((kb for level, kb, _ in sorted(caches) if level == 1), None),
        last_level_cache_mb=_last_level_mb(caches, info),
    )


def from_sysctl(values: Mapping[str, str]) -> Cpu:
    """Facts of a Mac, from the names and values that ``sysctl -a`` prints; the fast cores count."""
    hertz = _first(values, "hw.cpufrequency_max", "hw.cpufrequency") or _clock_of_mac()
    cache = _first(values, "hw.l3cachesize", "hw.perflevel0.l2cachesize", "hw.l2cachesize")
    if not cache:
        raise UnavailableError(_missing("last-level cache"))
    l1 = _first(values, "hw.perflevel0.l1dcachesize", "hw.l1dcachesize")
    x86 = f"{values.get('machdep.cpu.features', '')} {values.get('machdep.cpu.leaf7_features', '')}".lower()
    arm = {name for key, name in MAC_FEATURES.items() if values.get(key) == "1"} | {"asimd"}
    return Cpu(
        vendor=values.get("machdep.cpu.vendor", "Apple"),
        model=values.get("machdep.cpu.brand_string", "Apple"),
        family=int(values.get("machdep.cpu.family", "0")),
        features=frozenset(x86.replace("avx1.0", "avx").split() or arm),
        threads=int(_first(values, "hw.perflevel0.logicalcpu", "hw.logicalcpu") or 1),
        cores=int(_first(values, "hw.perflevel0.physicalcpu", "hw.physicalcpu") or 1),
        clock_mhz=hertz / 1e6,
        l1_kb=l1 / 1024 if l1 else None,
        last_level_cache_mb=cache / 2**20,
    )


def _missing(fact: str) -> str:
    return f"cannot read the {fact} of this machine; describe it in a file and name that device instead"


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _cpuinfo(root: Path) -> dict[str, str]:
    """Keys of the first processor in /proc/cpuinfo."""
    text = _text(root / "proc/cpuinfo")
    if not text:
        raise UnavailableError(_missing("/proc/cpuinfo"))
    pairs = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _clock_mhz(root: Path, info: Mapping[str, str]) -> float:
    highest_khz = _text(root / CPUS / "cpu0/cpufreq/cpuinfo_max_freq")
    now_mhz = info.get("cpu MHz")
    if highest_khz:
        return float(highest_khz) / 1000
    if now_mhz:
        return float(now_mhz)
    raise UnavailableError(_missing("clock"))


def _clock_of_mac() -> float:
    frequency = psutil.cpu_freq()
    if frequency is None or not frequency.max:
        raise UnavailableError(_missing("clock"))
    return float(frequency.max) * 1e6


def _physical_cores(root: Path, usable: frozenset[int]) -> int:
    siblings = {_text(root / CPUS / f"cpu{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in usable}
    return len(siblings)


def _caches(root: Path, usable: frozenset[int]) -> set[tuple[int, float, str]]:
    """Level, size in KB and sharing CPUs of each data cache in reach."""
    caches = set()
    for cpu in usable:
        for index in (root / CPUS / f"cpu{cpu}/cache").glob("index*"):
            level, size, sharers = (_text(index / key) for key in ("level", "size", "shared_cpu_list"))
            if level and size and sharers and _text(index / "type") != "Instruction":
                caches.add((int(level), float(size.rstrip("K")), sharers))
    return caches


def _last_level_mb(caches: set[tuple[int, float, str]], info: Mapping[str, str]) -> float:
    if caches:
        last = max(level for level, _, _ in caches)
        return sum(kb for level, kb, _ in caches if level == last) / 1024
    told = re.fullmatch(r"(\d+) KB", info.get("cache size", ""))
    if told is None:
        raise UnavailableError(_missing("last-level cache"))
    return int(told[1]) / 1024


def _first(values: Mapping[str, str], *names: str) -> float | None:
    """The first of the named values that is told and not zero."""
    return next((float(values[name]) for name in names if float(values.get(name, "0"))), None)
