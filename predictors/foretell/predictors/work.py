"""What a kernel has to do, read from the features that its encoder made: the input of `waves`.

Lengths are rows; times µs; rates per µs. Candidates are the ways to cut a product into tiles and its sum into
parts: a library picks one of them, and nobody outside knows which. Operators that are no products have one.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array

TILES: Final = (
    (16, 64), (32, 64), (64, 32), (64, 64), (64, 128), (128, 64), (128, 128), (128, 256), (256, 128),
)  # fmt: skip
"""Rows and columns of a core's share of a product."""
PARTS: Final = (1, 2, 3, 4, 6, 8, 12, 16)
"""Into how many parts the sum is split, each for a core of its own."""
STEP: Final = 32
"""Terms of the sum that are loaded at once."""
STREAMED_TILE: Final = 128
"""Tiles of this size on are balanced by design: their loads hide behind their arithmetic."""
PARTIAL_BYTES: Final = 4.0
"""Of a value that waits to be added to the other parts'."""
LANE_BYTES: Final = 64.0
"""That a core takes from the last-level cache in a cycle, on paper."""
PRODUCT: Final = ("log_m", "log_n", "log_k")


class Work(NamedTuple):
    """What some rows have to do, and where.

    Attributes:
        clock: cycles per µs, shape (rows,) as the next eight.
        bandwidth: of memory, bytes per µs.
        fabric: bytes per µs between cores and cache: the geometric mean of what both sides can do.
        cache: bytes of the last-level cache.
        weights: bytes of the right operand, which callers change from call to call; 0 without one.
        others: all other bytes.
        left: bytes of the left operand.
        rows_over_span: rows of the product over what one wave of tiles covers; columns_over_span likewise.
        log_width: logarithm of operations per core and cycle.
        roof_compute: logarithm of the time of the arithmetic at peak; roof_memory likewise, of all bytes.
        waves: of tiles over cores, rounded up; shape (candidates, rows) as the next four.
        share: the same without rounding, but 1 at least.
        compute: µs of one tile at the peak rate.
        load: bytes of one tile over the clock, where loads may not hide.
        partial: bytes of partial sums.
        tile: which of `TILES`, shape (candidates,).
        split: whether the sum is split, shape (candidates,).
    """

    clock: Array
    bandwidth: Array
    fabric: Array
    cache: Array
    weights: Array
    others: Array
    left: Array
    rows_over_span: Array
    columns_over_span: Array
    log_width: Array
    roof_compute: Array
    roof_memory: Array
    waves: Array
    share: Array
    compute: Array
    load: Array
    partial: Array
    tile: npt.NDArray[np.intp]
    split: npt.NDArray[np.bool_]


def work_of(features: Array, names: Sequence[str], floor_us: Array) -> Work:
    """The work of rows of features, shape (rows, features), whose columns are `names`.

    What an encoder does not name is taken from the floor, so that any operator has an answer.
    """
    column = {name: features[:, number] for number, name in enumerate(names)}
    cores, clock = 2.0 ** column["log_cores"], 2.0 ** column["log_clock"] / 1e6
    bandwidth = 2.0 ** column["log_bandwidth"] / 1e6
    peak = 2.0 ** column.get("log_vector_rate", column["log_peak"]) / 1e6
    moved = 2.0 ** column["log_bytes"] if "log_bytes" in column else floor_us * bandwidth
    operations = 2.0 ** column["log_operations"] if "log_operations" in column else np.ones_like(moved)
    is_product = all(name in column for name in PRODUCT)
    cut = _products(column, cores, clock, peak, operations) if is_product else _plain(operations / peak)
    return Work(
        clock=clock,
        bandwidth=bandwidth,
        fabric=np.sqrt(bandwidth * cores * clock * LANE_BYTES),
        cache=2.0 ** column["log_cache"],
        weights=np.minimum(cut.weights, moved),
        others=np.maximum(moved - cut.weights, 0.0),
        left=cut.left,
        rows_over_span=cut.rows_over_span,
        columns_over_span=cut.columns_over_span,
        log_width=np.log(peak / cores / clock),
        roof_compute=np.log(operations / peak),
        roof_memory=np.log(moved / bandwidth),
        waves=cut.waves,
        share=cut.share,
        compute=cut.compute,
        load=cut.load,
        partial=cut.partial,
        tile=cut.tile,
        split=cut.split,
    )


class _Cut(NamedTuple):
    """The part of `Work` that depends on the cut."""

    weights: Array
    left: Array
    rows_over_span: Array
    columns_over_span: Array
    waves: Array
    share: Array
    compute: Array
    load: Array
    partial: Array
    tile: npt.NDArray[np.intp]
    split: npt.NDArray[np.bool_]


def _plain(compute: Array) -> _Cut:
    """No product: the arithmetic is spread evenly, and everything else is bytes."""
    zeros, ones = np.zeros_like(compute), np.ones((1, len(compute)))
    tile, split = np.array([-1]), np.array([False])
    return _Cut(zeros, zeros, zeros, zeros, ones, ones, compute[None], zeros[None], zeros[None], tile, split)


def _products(column: dict[str, Array], cores: Array, clock: Array, peak: Array, operations: Array) -> _Cut:
    m, n, k = (np.round(2.0 ** column[name]) for name in PRODUCT)
    copies = np.maximum(np.round(operations / (2.0 * m * n * k)), 1.0)
    a_bytes = column["a_bytes"]
    b_bytes = column.get("b_bytes", a_bytes)
    span = 128.0 * np.sqrt(cores)
    waves, share, compute, load, partial = (np.empty((len(TILES) * len(PARTS), len(m))) for _ in range(5))
    for number, (tile, parts) in enumerate((tile, parts) for tile in TILES for parts in PARTS):
        rows, columns = tile
        terms = np.ceil(k / (parts * STEP)) * STEP
        each = copies * np.ceil(m / rows) * np.ceil(n / columns) * parts / cores
        waves[number], share[number] = np.ceil(each), np.maximum(each, 1.0)
        compute[number] = 2.0 * rows * columns * terms / (peak / cores)
        hidden = min(tile) >= STREAMED_TILE
        load[number] = 0.0 if hidden else (rows * a_bytes + columns * b_bytes) * terms / clock
        partial[number] = copies * m * n * PARTIAL_BYTES * parts if parts > 1 else 0.0
    return _Cut(
        weights=b_bytes * n * k * copies,
        left=a_bytes * m * k * copies,
        rows_over_span=m / span,
        columns_over_span=n / span,
        waves=waves,
        share=share,
        compute=compute,
        load=load,
        partial=partial,
        tile=np.repeat(np.arange(len(TILES)), len(PARTS)),
        split=np.tile(np.array(PARTS) > 1, len(TILES)),
    )
