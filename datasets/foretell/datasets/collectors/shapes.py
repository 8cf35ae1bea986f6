"""Which matrix products to measure: a seeded stream over decades of m, n and k, awkward shapes among them."""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.fields import MAX_DIMENSION
from foretell.errors import InputError, one_of

PATIENCE: Final = 10_000
"""Draws without a new shape within the bounds after which the stream ends: the bounds leave no more."""


WIDE: Final = 16
"""Weights narrower than this are rare: `SKINNY` of the draws of n and k; of m those have a single row."""
SKINNY: Final = 0.08


@dataclass(frozen=True, slots=True)
class GemmCase:
    """One product C[m, n] = A[m, k] B[k, n]."""

    m: int
    n: int
    k: int
    dtype: str

    def __post_init__(self) -> None:
        for name in ("m", "n", "k"):
            if not 1 <= getattr(self, name) <= MAX_DIMENSION:
                raise InputError(name, getattr(self, name), f"1 to {MAX_DIMENSION}")
        if self.dtype not in DTYPES:
            raise InputError("dtype", self.dtype, one_of(DTYPES))

    def columns(self) -> dict[str, object]:
        """Columns of a kernel row that say what was run."""
        return {"operator": "gemm", "m": self.m, "n": self.n, "k": self.k, "dtype": self.dtype}

    @property
    def operations(self) -> int:
        """Multiplications and additions."""
        return 2 * self.m * self.n * self.k

    @property
    def bytes_moved(self) -> float:
        """Bytes of both inputs and the output, each touched once."""
        kind = DTYPES[self.dtype]
        a, b, c = self.m * self.k, self.k * self.n, self.m * self.n
        return a * kind.a_bytes + b * kind.b_bytes + c * kind.c_bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a case may ask for, so that none takes much longer than the others.

    Attributes:
        max_m: largest m; likewise n and k.
        max_operations: most operations of a case by data type; types not named may do `operations`.
        operations: see above.
        max_bytes: most bytes of inputs and output together.
        multiple_of: data types whose n and k must be multiples of a number, and of which.
        min_m: data types that need a least m, and which.
    """

    max_m: int = 2**13
    max_n: int = 2**14
    max_k: int = 2**14
    operations: float = 2e9
    max_operations: Mapping[str, float] = field(default_factory=dict)
    max_bytes: float = 64 * 2**20
    multiple_of: Mapping[str, int] = field(default_factory=dict)
    min_m: Mapping[str, int] = field(default_factory=dict)

    def admit(self, case: GemmCase) -> bool:
        """Whether the case lies within them."""
        small_enough = case.operations <= self.max_operations.get(case.dtype, self.operations)
        return small_enough and case.bytes_moved <= self.max_bytes and case.m >= self.min_m.get(case.dtype, 1)


def gemm_cases(dtypes: Sequence[str], *, seed: int, bounds: Bounds | None = None) -> Iterator[GemmCase]:
    """An unlimited stream of cases without duplicates, the data types in turn.

    The same seed, data types and bounds give the same stream, so a resumed campaign goes through it again
    and skips what it has. Each data type draws by itself and bounds only leave cases out, so measured bounds
    that come out a little differently change the stream at a few places only. It ends only where the bounds
    leave nothing new.
    """
    bounds = bounds or Bounds()
    if not dtypes:
        raise InputError("dtypes", dtypes, "at least one data type")
    rngs = {dtype: random.Random(f"{seed} {dtype}") for dtype in dtypes}  # noqa: S311 (no secret)
    seen: set[GemmCase] = set()
    while True:
        for dtype, rng in rngs.items():
            case = _draw_new(rng, dtype, bounds, seen)
            if case is None:
                return
            seen.add(case)
            yield case


def _draw_new(rng: random.Random, dtype: str, bounds: Bounds, seen: set[GemmCase]) -> GemmCase | None:
    multiple = bounds.multiple_of.get(dtype, 1)
    for _ in range(PATIENCE):
        m = _dimension(rng, 1, bounds.max_m)
        n, k = (_round_to(_dimension(rng, WIDE, high), multiple) for high in (bounds.max_n, bounds.max_k))
        case = GemmCase(m, n, k, dtype)
        if bounds.admit(case) and case not in seen:
            return case
    return None


def _dimension(rng: random.Random, low: int, high: int) -> int:
    """One dimension in [1, high]: log-uniform in [low, high], then moved nearby in the chosen manner."""
    if rng.random() < SKINNY:
        return round(2 ** rng.uniform(0, math.log2(min(low, high)))) if low > 1 else 1
    size = 2 ** rng.uniform(math.log2(min(low, high)), math.log2(high))
    manner = rng.choices(_MANNERS, weights=_WEIGHTS)[0]
    return min(max(manner(size), 1), high)


def _round_to(size: int, multiple: int) -> int:
    return max(multiple, size // multiple * multiple)


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
