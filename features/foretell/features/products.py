"""The physics of matrix products, of one or of several of the same shape.

C[m, n] = A[m, k] B[k, n] takes 2 m n k operations and moves each operand once at least.
"""

from typing import Any, Final

from foretell.features.physics import WAVE_NAMES, Machine, Operations, floor_us, wave_features

TILES: Final = ((64, 64), (64, 128), (128, 128), (128, 256), (256, 128))
"""Output tiles (rows, columns) in common use; which one a library takes is for the model to learn."""
ROW_TILES: Final = (16, 64, 128, 256)
PRODUCT_NAMES: Final = (
    "log_m", "log_n", "log_k", "log_operations", "log_bytes",
    "log_intensity", "log_floor_us", "log_compute_over_memory",
    "log_mn", "log_nk", "log_mk", "log_n_over_k", "log_bytes_over_cache", "log_output_over_cache",
    *(f"{name}_{rows}x{cols}" for rows, cols in TILES for name in WAVE_NAMES),
    *(f"row_fill_{rows}" for rows in ROW_TILES),
    "m_mod_2", "m_mod_8", "m_mod_64", "m_mod_128", "n_mod_8", "n_mod_256", "k_mod_8", "k_mod_256",
)  # fmt: skip
PRODUCT_EXTENT: Final = 5
"""The leading names that span a range: sizes, operations and bytes."""


def product_operations(m: Any, n: Any, k: Any) -> Any:
    """Floating-point operations of a product: a multiplication and an addition per term."""
    return 2.0 * m * n * k


def product_bytes(m: Any, n: Any, k: Any, machine: Machine) -> Any:
    """Bytes that a product moves at least: both operands read once, the output written once."""
    return machine.a_bytes * m * k + machine.b_bytes * n * k + machine.c_bytes * m * n


def product_features(
    m: Any, n: Any, k: Any, *, copies: Any, moved: Any, machine: Machine, ops: Operations
) -> tuple[list[Any], Any]:
    """Features in the order of `PRODUCT_NAMES`, and the roofline time in µs.

    Args:
        m: rows of A and C; floats or an array, as the other arguments.
        n: columns of B and C.
        k: the dimension that is summed over.
        copies: products of this shape.
        moved: bytes that they move in all.
        machine: figures of the device for the data type.
        ops: `SCALAR` or `VECTOR`.
    """
    log2, ceil = ops.log2, ops.ceil
    log_m, log_n, log_k = log2(m), log2(n), log2(k)
    operations = product_operations(m, n, k) * copies
    log_operations, log_bytes = log2(operations), log2(moved)
    log_compute, log_memory = log_operations - machine.log_peak, log_bytes - machine.log_bandwidth
    least_us = floor_us(operations, moved, machine, ops)
    features = [
        log_m, log_n, log_k, log_operations, log_bytes,
        log_operations - log_bytes, log2(least_us), log_compute - log_memory,
        log_m + log_n, log_n + log_k, log_m + log_k, log_n - log_k,
        log_bytes - machine.log_cache, log2(machine.c_bytes * m * n * copies) - machine.log_cache,
    ]  # fmt: skip
    m16, m64, m128, m256 = ceil(m / 16), ceil(m / 64), ceil(m / 128), ceil(m / 256)
    n64, n128, n256 = copies * ceil(n / 64), copies * ceil(n / 128), copies * ceil(n / 256)
    tiles = (m64 * n64, m64 * n128, m128 * n128, m128 * n256, m256 * n128)  # as in TILES
    features += wave_features(tiles, machine, ops)
    features += (m16 * 16 / m, m64 * 64 / m, m128 * 128 / m, m256 * 256 / m)  # as in ROW_TILES
    features += (m % 2, m % 8, m % 64, m % 128, n % 8, n % 256, k % 8, k % 256)
    return features, least_us
