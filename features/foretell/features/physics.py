"""The physics that operators share, written once for plain floats and for arrays.

No device finishes before its arithmetic or its memory could (the roofline, Williams et al., CACM 2009). What
keeps an operator away from that floor is mostly rounding: of its shape up to tiles, of tiles up to waves over
the cores, of rows up to the width of a load.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

import numpy as np


class Operations(NamedTuple):
    """The few functions that the physics needs, for floats or for arrays."""

    log2: Callable[[Any], Any]
    ceil: Callable[[Any], Any]
    least: Callable[[Any, Any], Any]
    most: Callable[[Any, Any], Any]


SCALAR: Final = Operations(math.log2, math.ceil, min, max)
VECTOR: Final = Operations(np.log2, np.ceil, np.minimum, np.maximum)


class Machine(NamedTuple):
    """Figures of one device for one data type: floats, or one array entry per row. Logarithms to base 2.

    Attributes:
        flops: peak rate, FLOP/s.
        bandwidth: of memory, bytes/s.
        cores: streaming multiprocessors, compute units or processor cores.
        memory_bytes: memory.
        a_bytes: bytes per element of A; likewise b_bytes and c_bytes.
        log_peak: of `flops`; likewise log_bandwidth and log_cores.
        log_cache: of the bytes of the last-level cache.
        log_clock: of the boost clock in Hz.
    """

    flops: Any
    bandwidth: Any
    cores: Any
    memory_bytes: Any
    a_bytes: Any
    b_bytes: Any
    c_bytes: Any
    log_peak: Any
    log_bandwidth: Any
    log_cores: Any
    log_cache: Any
    log_clock: Any


def floor_us(operations: Any, moved: Any, machine: Machine, ops: Operations) -> Any:
    """The roofline, µs: the slower of arithmetic and memory.

    Args:
        operations: at the peak rate.
        moved: bytes of memory read and written.
        machine: figures of the device.
        ops: `SCALAR` or `VECTOR`.
    """
    return 1e6 * ops.most(operations / machine.flops, moved / machine.bandwidth)


WAVE_NAMES: Final = ("log_waves", "wave_fill", "last_wave")
MOST_WAVES: Final = 64.0
"""Above, the rounding of waves is too small to count them."""


def wave_features(tilings: Iterable[Any], machine: Machine, ops: Operations) -> list[Any]:
    """For each number of tiles: waves over the cores, how much whole waves exceed them, and how many.

    One core takes one tile at a time here; how many it really takes is for the model to learn.
    """
    log2, ceil, least, cores = ops.log2, ops.ceil, ops.least, machine.cores
    features: list[Any] = []
    for tiles in tilings:
        waves = tiles / cores
        whole = ceil(waves)
        features += (log2(waves), whole / waves, least(whole, MOST_WAVES))
    return features


MACHINE_NAMES: Final = ("log_peak", "log_bandwidth", "log_cores", "log_cache", "log_clock")


def machine_features(machine: Machine) -> tuple[Any, ...]:
    """Figures of the device in the order of `MACHINE_NAMES`."""
    return (machine.log_peak, machine.log_bandwidth, machine.log_cores, machine.log_cache, machine.log_clock)
