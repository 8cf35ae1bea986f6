"""Expected latency of a mixture of architectures, with its gradient, for searches that follow gradients.

Each position of an architecture holds a distribution over its choices, as in ProxylessNAS (Cai et al., ICLR
2019). Where a latency is a sum over positions the expectation is linear in every distribution; a cell of
NAS-Bench-201 is small enough to sum over all cells.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from foretell.datasets.spaces import fbnet, nb201
from foretell.datasets.spaces.base import Choices
from foretell.errors import InputError, one_of
from foretell.features.base import Array
from foretell.predictors.few_shot import Adapted

SIZES: Final = {"fbnet": fbnet.SIZES, "nb201": (len(nb201.OPERATIONS),) * len(nb201.EDGES)}
"""Choices at each position of the spaces whose positions are independent of each other."""
SMALL: Final = 20_000
"""Up to so many architectures all of them are summed over."""
ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Mixture:
    """Mean latencies from which expectations follow.

    Attributes:
        sizes: choices at each position.
        grid: mean ms of every architecture, shape `sizes`; null where latency is a sum over positions.
        base_ms: of the architecture of first choices.
        added_ms: what each choice adds to it, one array a position.
    """

    sizes: tuple[int, ...]
    grid: Array | None
    base_ms: float
    added_ms: tuple[Array, ...]

    @classmethod
    def of(cls, adapted: Adapted) -> Self:
        """From a device that was adapted to.

        Raises:
            InputError: a space whose positions depend on each other.
        """
        name = adapted.basis.name
        if name not in SIZES:
            raise InputError("space", name, one_of(SIZES))
        sizes = SIZES[name]
        if np.prod(sizes, dtype=np.float64) <= SMALL:
            every = np.stack(np.meshgrid(*map(np.arange, sizes), indexing="ij"), axis=-1)
            return cls(sizes, adapted.moments_ms(every.reshape(-1, len(sizes)))[0].reshape(sizes), 0.0, ())
        mean_ms = adapted.moments_ms(_one_changed(sizes))[0]
        added = np.split(mean_ms[1:] - mean_ms[0], np.cumsum(sizes)[:-1])
        return cls(sizes, None, float(mean_ms[0]), tuple(added))

    def expected_ms(self, probabilities: Array) -> tuple[float, Array]:
        """Expected latency in ms, and its gradient.

        Args:
            probabilities: shape (positions, choices); each row is a distribution.

        Returns:
            The expectation, and its derivative by each probability, of the same shape.

        Raises:
            InputError: another shape, or a row that is no distribution.
        """
        if probabilities.shape != (len(self.sizes), max(self.sizes)):
            expected = f"shape ({len(self.sizes)}, {max(self.sizes)})"
            raise InputError("probabilities", probabilities.shape, expected)
        wrong = (probabilities < 0).any(axis=1) | (np.abs(probabilities.sum(axis=1) - 1) > ROUNDING)
        if not np.isfinite(probabilities).all() or wrong.any():
            row = int(np.argmax(wrong))
            raise InputError(
                f"probabilities[{row}]", probabilities[row].tolist(), "numbers from 0 that add up to 1"
            )
        if self.grid is None:
            gradient = np.stack(self.added_ms)
            return self.base_ms + float((gradient * probabilities).sum()), gradient
        gradient = np.stack([self._without(probabilities, position) for position in range(len(self.sizes))])
        return float(gradient[0] @ probabilities[0]), gradient

    def _without(self, probabilities: Array, position: int) -> Array:
        """Expectation over all positions but one: shape (choices,)."""
        assert self.grid is not None  # noqa: S101  (narrows the type)
        left = np.moveaxis(self.grid, position, 0)
        for other in reversed([row for number, row in enumerate(probabilities) if number != position]):
            left = left @ other
        return np.asarray(left)


def _one_changed(sizes: tuple[int, ...]) -> Choices:
    """The architecture of first choices, then each with one position changed to each of its choices."""
    rows = np.zeros((1 + sum(sizes), len(sizes)), dtype=np.int64)
    row = 1
    for position, size in enumerate(sizes):
        rows[row : row + size, position] = np.arange(size)
        row += size
    return rows
