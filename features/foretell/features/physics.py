"""The physics of a matrix product, written once for plain floats and for arrays.

C[m, n] = A[m, k] B[k, n] takes 2 m n k operations and moves each operand once at least; no device finishes
before its arithmetic or its memory could (the roofline, Williams et al., CACM 2009). What keeps a product
away from that floor is mostly rounding: of the shape up to tiles, of tiles up to waves over the cores, of
rows up to the width of a load.
"""

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

TILES: Final = ((64, 64), (64, 128), (128, 128), (128, 256), (256, 128))
"""Output tiles (rows, columns) in common use; which one a library takes is for the model to learn."""
ROW_TILES: Final = (16, 64, 128, 256)


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


def gemm_operations(m: Any, n: Any, k: Any) -> Any:
    """Floating-point operations of a product: a multiplication and an addition per term."""
    return 2.0 * m * n * k


def gemm_bytes(m: Any, n: Any, k: Any, machine: Machine) -> Any:
    """Bytes that a product moves at least: both operands read once, the output written once."""
    return machine.a_bytes * m * k + machine.b_bytes * n * k + machine.c_bytes * m * n


NAMES: Final = (
    "log_m", "log_n", "log_k", "log_operations", "log_bytes",
    "log_intensity", "log_floor_us", "log_compute_over_memory",
    "log_mn", "log_nk", "log_mk", "log_n_over_k", "log_bytes_over_cache", "log_output_over_cache",
    *(f"{name}_{rows}x{cols}" for rows, cols in TILES for name in ("log_waves", "wave_fill", "last_wave")),
    *(f"row_fill_{rows}" for rows in ROW_TILES),
    "m_mod_2", "m_mod_8", "m_mod_64", "m_mod_128", "n_mod_8", "n_mod_256", "k_mod_8", "k_mod_256",
    "log_peak", "log_bandwidth", "log_cores", "log_cache", "log_clock", "a_bytes", "b_bytes",
)  # fmt: skip
EXTENT: Final = 5


def gemm_features(m: Any, n: Any, k: Any, machine: Machine, ops: Operations) -> tuple[list[Any], Any, Any]:
    """Features in the order of `NAMES`, the roofline time in µs and the bytes of operands and result.

    Args:
        m: rows of A and C; floats or an array, as the other arguments.
        n: columns of B and C.
        k: the dimension that is summed over.
        machine: figures of the device for the data type.
        ops: `SCALAR` or `VECTOR`.
    """
    log2, ceil, least = ops.log2, ops.ceil, ops.least
    log_m, log_n, log_k = log2(m), log2(n), log2(k)
    log_operations = 1.0 + log_m + log_n + log_k
    moved = gemm_bytes(m, n, k, machine)
    log_bytes = log2(moved)
    log_compute, log_memory = log_operations - machine.log_peak, log_bytes - machine.log_bandwidth
    floor_us = 1e6 * ops.most(gemm_operations(m, n, k) / machine.flops, moved / machine.bandwidth)
    features = [
        log_m, log_n, log_k, log_operations, log_bytes,
        log_operations - log_bytes, log2(floor_us), log_compute - log_memory,
        log_m + log_n, log_n + log_k, log_m + log_k, log_n - log_k,
        log_bytes - machine.log_cache, log2(machine.c_bytes * m * n) - machine.log_cache,
    ]  # fmt: skip
    m16, m64, m128, m256 = ceil(m / 16), ceil(m / 64), ceil(m / 128), ceil(m / 256)
    n64, n128, n256 = ceil(n / 64), ceil(n / 128), ceil(n / 256)
    for tiles in (m64 * n64, m64 * n128, m128 * n128, m128 * n256, m256 * n128):  # as in TILES
        waves = tiles / machine.cores
        whole = ceil(waves)
        features += (log2(waves), whole / waves, least(whole, 64.0))
    features += (m16 * 16 / m, m64 * 64 / m, m128 * 128 / m, m256 * 256 / m)  # as in ROW_TILES
    features += (m % 2, m % 8, m % 64, m % 128, n % 8, n % 256, k % 8, k % 256)
    features += (
        machine.log_peak, machine.log_bandwidth, machine.log_cores, machine.log_cache, machine.log_clock,
        machine.a_bytes, machine.b_bytes,
    )  # fmt: skip
    return features, floor_us, moved
