"""The machine at hand as a row of the kind `device`: what it tells, what is derived and what is measured."""

import platform
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import numpy as np
import polars as pl
import psutil

from foretell.datasets.cpu import Cpu, read_cpu
from foretell.datasets.cpu_peak import operations_per_cycle
from foretell.datasets.described import checked
from foretell.datasets.device import Device

MAX_ARRAY_MB: Final = 256
MIN_ARRAY_MB: Final = 64
COPY_S: Final = 0.3
NOISE_WORDS: Final = r"\((r|tm)\)|\bcpu\b|@.*|\d+-core"
"""Parts of a CPU's product name that tell no model from another."""


@cache
def this_cpu() -> pl.DataFrame:
    """The CPUs that this process may use, as one row of `Device`; takes about a second, once per process.

    Rates are derived (operations per cycle x clock x physical cores) and the memory bandwidth is measured, so
    it varies a little from one process to the next; `source` says how each figure was obtained.

    Raises:
        UnavailableError: names the fact that this machine does not tell.
    """
    cpu = read_cpu()
    array_mb = _array_mb(cpu)
    return describe(cpu, psutil.virtual_memory().total / 1e9, copy_gb_s(array_mb, cpu.threads), array_mb)


def describe(cpu: Cpu, memory_gb: float, bandwidth_gb_s: float, array_mb: int) -> pl.DataFrame:
    """One row of `Device` from the facts of a CPU and its memory."""
    per_second = cpu.cores * cpu.clock_mhz * 1e6 / 1e12
    rates = {
        f"peak_{dtype}_tflops": None if operations is None else operations * per_second
        for dtype, operations in operations_per_cycle(cpu).items()
    }
    row = {
        "name": device_name(cpu),
        "vendor": cpu.vendor or None,
        "model": cpu.model,
        "family": platform.machine(),
        "kind": "cpu",
        "memory_gb": memory_gb,
        "memory_bandwidth_gb_s": bandwidth_gb_s,
        "last_level_cache_mb": cpu.last_level_cache_mb,
        "l1_kb": cpu.l1_kb,
        "cores": cpu.threads,
        "clock_mhz": cpu.clock_mhz,
        "source": _source(cpu, array_mb),
    }
    return checked(pl.DataFrame([row | rates]), Device)


def device_name(cpu: Cpu) -> str:
    """A stable name: model and usable logical CPUs, such as ``cpu_intel_xeon_processor_2c``."""
    words = re.findall(r"[a-z0-9]+", re.sub(NOISE_WORDS, " ", cpu.model.lower()))
    return "_".join(["cpu", *words])[:56].rstrip("_") + f"_{cpu.threads}c"


def copy_gb_s(array_mb: int, threads: int, seconds: float = COPY_S) -> float:
    """Best rate of copying one array to another, counting bytes read and written, GB/s.

    Args:
        array_mb: size of each of the two arrays, MB.
        threads: threads that share the copy; NumPy frees the interpreter while it copies.
        seconds: how long copies are repeated, after one that touches every page.
    """
    source = np.ones(array_mb * 2**20 // 8)
    target = np.empty_like(source)
    pieces = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    best_s = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        _copy(pool, pieces)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or best_s == float("inf"):
            best_s = min(best_s, _copy(pool, pieces))
    return 2 * source.nbytes / best_s / 1e9


def _copy(pool: ThreadPoolExecutor, pieces: list[tuple[np.ndarray, np.ndarray]]) -> float:
    start = time.perf_counter()
    list(pool.map(lambda piece: np.copyto(*piece), pieces))
    return time.perf_counter() - start


def _array_mb(cpu: Cpu) -> int:
    """Well above the last-level cache, as far as 256 MB and an eighth of the free memory allow."""
    wanted = max(MIN_ARRAY_MB, 4 * cpu.last_level_cache_mb)
    free_mb = psutil.virtual_memory().available / 2**20
    return max(1, int(min(wanted, MAX_ARRAY_MB, free_mb / 8)))


def _source(cpu: Cpu, array_mb: int) -> str:
    cached = (
        "" if array_mb >= 2 * cpu.last_level_cache_mb else ", which the last-level cache may hold in part"
    )
    return (
        "model, clock, caches, cores and memory as the system reports them; peak rates derived from the "
        f"instruction sets: operations per cycle x {cpu.clock_mhz:.0f} MHz x {cpu.cores} physical cores; "
        f"memory bandwidth measured by copying {array_mb} MB with {cpu.threads} threads{cached}"
    )
