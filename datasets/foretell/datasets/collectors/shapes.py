"""Which shapes to measure: seeded streams over decades of every dimension, awkward ones among them."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from foretell.datasets.collectors.cases import KernelCase, Size
from foretell.errors import InputError

PATIENCE: Final = 10_000
"""Draws without a new shape within the bounds after which a stream ends: the bounds leave no more."""
WIDE: Final = 16
"""Widths below this are rare: `SKINNY` of the draws; of rows those have a single one."""
SKINNY: Final = 0.08

Draw = Callable[[random.Random, str, int], KernelCase[Any]]
"""From random numbers, a data type and the largest dimension to a case."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a case may ask for, so that none takes much longer than the others.

    Attributes:
        largest: largest dimension.
        operations: most operations of a case whose data type is not in `max_operations`.
        max_operations: most operations by data type.
        max_bytes: most bytes of inputs and output together.
    """

    largest: int = 2**14
    operations: float = 2e9
    max_operations: Mapping[str, float] = field(default_factory=dict)
    max_bytes: float = 64 * 2**20

    def admit(self, dtype: str, size: Size) -> bool:
        """Whether a case of that size lies within them."""
        few_enough = size.operations <= self.max_operations.get(dtype, self.operations)
        return few_enough and size.bytes_moved <= self.max_bytes


def cases(
    draw: Draw, size: Callable[[Any], Size], dtypes: Sequence[str], *, seed: int, bounds: Bounds
) -> Iterator[KernelCase[Any]]:
    """An unlimited stream of cases without duplicates, the data types in turn.

    The same seed, data types and bounds give the same stream, so a resumed campaign goes through it again
    and skips what it has. Each data type draws by itself and bounds only leave cases out, so measured bounds
    that come out a little differently change the stream at a few places only. It ends only where the bounds
    leave nothing new.

    Args:
        draw: one case.
        size: of the query of a case.
        dtypes: data types.
        seed: of the stream.
        bounds: of the cases.
    """
    if not dtypes:
        raise InputError("dtypes", dtypes, "at least one data type")
    rngs = {dtype: random.Random(f"{seed} {dtype}") for dtype in dtypes}  # noqa: S311 (no secret)
    seen: set[KernelCase[Any]] = set()
    while True:
        for dtype, rng in rngs.items():
            drawn = (draw(rng, dtype, bounds.largest) for _ in range(PATIENCE))
            fit = (case for case in drawn if bounds.admit(dtype, size(case.query)) and case not in seen)
            case = next(fit, None)
            if case is None:
                return
            seen.add(case)
            yield case


def rows(rng: random.Random, largest: int) -> int:
    """A number of tokens, rows or sequences in [1, largest]."""
    return dimension(rng, 1, largest)


def width(rng: random.Random, largest: int, multiple: int = 1) -> int:
    """A width of a layer in [1, largest], a multiple of a number."""
    return max(multiple, dimension(rng, WIDE, largest) // multiple * multiple)


def dimension(rng: random.Random, low: int, high: int) -> int:
    """One dimension in [1, high]: log-uniform in [low, high], then moved nearby in the chosen manner."""
    if rng.random() < SKINNY:
        return round(2 ** rng.uniform(0, math.log2(min(low, high)))) if low > 1 else 1
    size = 2 ** rng.uniform(math.log2(min(low, high)), math.log2(high))
    manner = rng.choices(_MANNERS, weights=_WEIGHTS)[0]
    return min(max(manner(size), 1), high)


def _any(size: float) -> int:
    return round(size)


def _power_of_two(size: float) -> int:
    return 1 << round(math.log2(size))


def _past_power_of_two(size: float) -> int:
    """Just past a tile: the next one holds a single row or column."""
    return _power_of_two(size) + 1


def _multiple_of_64(size: float) -> int:
    """Or of 8, where 64 is too coarse."""
    tile = 64 if size >= 64 else 8
    return max(round(size / tile), 1) * tile


def _past_multiple_of_64(size: float) -> int:
    return _multiple_of_64(size) + 1


def _short_of_multiple_of_64(size: float) -> int:
    return _multiple_of_64(size) - 1


def _prime(size: float) -> int:
    """The largest prime that is not larger; 2 at least."""
    candidate = max(2, int(size))
    while any(candidate % d == 0 for d in range(2, math.isqrt(candidate) + 1)):
        candidate -= 1
    return candidate


# Half of the draws are what models ask for (plain sizes, multiples of 64), the rest what trips a kernel.
_SHARES: Final[tuple[tuple[Callable[[float], int], float], ...]] = (
    (_any, 0.4),
    (_multiple_of_64, 0.2),
    (_power_of_two, 0.1),
    (_past_power_of_two, 0.1),
    (_past_multiple_of_64, 0.05),
    (_short_of_multiple_of_64, 0.05),
    (_prime, 0.1),
)
_MANNERS: Final = tuple(manner for manner, _ in _SHARES)
_WEIGHTS: Final = tuple(share for _, share in _SHARES)
