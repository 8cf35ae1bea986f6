"""The physics of operators that go through rows of values and do little with each."""

from typing import Any, ClassVar, Final

from foretell.datasets.device import DeviceFigures
from foretell.features.kernel import KernelEncoder
from foretell.features.physics import (
    MACHINE_NAMES,
    WAVE_NAMES,
    Machine,
    Operations,
    machine_features,
    wave_features,
)
from foretell.features.places import Traits

WAVES: Final = ("rows", "quarter_rows", "kilo", "four_kilo")
"""What may be one core's share: a row, four rows, 1,024 or 4,096 values."""
ROW_TILES: Final = (32, 128, 1024)
ROWWISE_NAMES: Final = (
    "log_rows", "log_hidden", "log_bytes", "log_elements",
    "log_floor_us", "log_bytes_over_cache", "log_row_bytes", "log_operations",
    *(f"{name}_{share}" for share in WAVES for name in WAVE_NAMES),
    *(f"row_fill_{width}" for width in ROW_TILES),
    "power_of_two_fill", "hidden_mod_4", "hidden_mod_8", "hidden_mod_32", "elements_mod_4", "rows_mod_4",
    *MACHINE_NAMES, "log_vector_rate", "a_bytes",
)  # fmt: skip
ROWWISE_EXTENT: Final = 3


class RowwiseEncoder(KernelEncoder):
    """Rows of `kernel` with an operator that has nothing but rows, and `physics` by `rowwise_features`."""

    names: ClassVar[tuple[str, ...]] = ROWWISE_NAMES
    extent: ClassVar[int] = ROWWISE_EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Rate of arithmetic."""
        del dtype, own
        return (vector_rate(figures),)


def vector_rate(figures: DeviceFigures) -> float:
    """Peak rate of arithmetic outside of the matrix units, FLOP/s: that of float32, whatever is stored."""
    return figures.peak_flops("float32")


def rowwise_features(
    rows: Any, hidden: Any, *, operations: Any, moved: Any, rate: Any, machine: Machine, ops: Operations
) -> tuple[list[Any], Any]:
    """Features in the order of `ROWWISE_NAMES`, and the roofline time in µs.

    Args:
        rows: number of rows; floats or an array, as the other arguments.
        hidden: values of a row.
        operations: arithmetic in all.
        moved: bytes read and written.
        rate: `vector_rate`.
        machine: figures of the device for the data type.
        ops: `SCALAR` or `VECTOR`.
    """
    log2, ceil = ops.log2, ops.ceil
    log_hidden, log_bytes, elements = log2(hidden), log2(moved), rows * hidden
    floor_us = 1e6 * ops.most(operations / rate, moved / machine.bandwidth)
    features = [
        log2(rows), log_hidden, log_bytes, log2(elements),
        log2(floor_us), log_bytes - machine.log_cache, log2(hidden * machine.a_bytes),
        log2(ops.most(operations, 1.0)),
    ]  # fmt: skip
    shares = (rows, ceil(rows / 4), ceil(elements / 1024), ceil(elements / 4096))  # as in WAVES
    features += wave_features(shares, machine, ops)
    features += (ceil(hidden / width) * width / hidden for width in ROW_TILES)
    features += (2.0 ** ceil(log_hidden) / hidden, hidden % 4, hidden % 8, hidden % 32)
    features += (elements % 4, rows % 4)
    features += machine_features(machine)
    features += (log2(rate), machine.a_bytes)
    return features, floor_us
