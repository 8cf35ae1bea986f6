"""Architectures of a search space as numbers: what made-up devices would need, and what stands where.

All blocks are linear in each other's terms: a device's latency is a weighted sum of them, so a fitted device
is one vector, and the expected latency of a mixture of architectures follows from their mean features.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

import numpy as np

from foretell.datasets.spaces.base import Choices, Space, space
from foretell.features.base import Array
from foretell.features.roofline_devices import times_s

COMPONENTS: Final = 10
"""Directions in which made-up devices differ; the rest is under a thousandth."""
REFERENCES: Final = 1000
"""Random architectures on which features are centred and scaled."""
SEED: Final = 0


@lru_cache(maxsize=8)
def _part_times(name: str) -> Array:
    return times_s(space(name).catalogue())


def summed(searched: Space, choices: Choices, view: str, table: Array) -> Array:
    """Sums over the parts of each architecture: shape (architectures, columns of `table`).

    Args:
        searched: the space.
        choices: architectures of it.
        view: one of its views.
        table: shape (parts of the catalogue, columns).
    """
    parts = searched.parts(choices, view)
    total = np.zeros((len(choices), table.shape[1]))
    for slot in range(parts.index.shape[1]):
        total += parts.counts[:, [slot]] * table[parts.index[:, slot]]
    return total


@dataclass(frozen=True, slots=True)
class Basis:
    """Features of a space, centred and scaled on random architectures of it.

    The columns are a constant, the mean made-up device, `COMPONENTS` directions in which made-up devices
    differ, and indicators of what stands where.

    Attributes:
        name: of the space.
        virtual_mean: mean seconds of each made-up device.
        directions: shape (devices, components).
        center: of the indicators.
        scale: of the indicators: their rows have a mean square norm of one.
    """

    name: str
    virtual_mean: Array
    directions: Array
    center: Array
    scale: float

    @classmethod
    def of(cls, searched: Space) -> Self:
        """From random architectures of the space, the same ones each time."""
        choices = searched.random(REFERENCES, np.random.default_rng(SEED))
        seconds = summed(searched, choices, searched.views[0], _part_times(searched.name))
        relative = seconds / seconds.mean(axis=0)
        spread = relative - relative.mean(axis=1, keepdims=True)
        _, _, rotation = np.linalg.svd(spread, full_matrices=False)
        marked = searched.one_hot(choices, searched.views[0])
        center = marked.mean(axis=0)
        scale = float(np.sqrt(((marked - center) ** 2).sum(axis=1).mean()))
        return cls(searched.name, seconds.mean(axis=0), rotation[:COMPONENTS].T, center, scale)

    @property
    def blocks(self) -> tuple[slice, ...]:
        """Columns of the constant, the mean made-up device, the directions and the indicators."""
        start = 2 + self.directions.shape[1]
        return slice(0, 1), slice(1, 2), slice(2, start), slice(start, start + len(self.center))

    def encode(self, choices: Choices, view: str) -> Array:
        """Features of architectures: shape (architectures, columns of `blocks`)."""
        searched = space(self.name)
        relative = _part_times(self.name) / self.virtual_mean
        mean = relative.mean(axis=1, keepdims=True)
        components = (relative - mean) @ self.directions / np.sqrt(len(self.virtual_mean))
        physics = summed(searched, choices, view, np.concatenate([mean, components], axis=1))
        marked = (searched.one_hot(choices, view) - self.center) / self.scale
        constant = np.ones((len(choices), 1))
        return np.concatenate([constant, physics - np.eye(1, physics.shape[1]), marked], axis=1)

    def virtual(self) -> Array:
        """The made-up devices as weights of the features: shape (devices, features)."""
        _, mean, components, last = self.blocks
        weights = np.zeros((len(self.virtual_mean), last.stop))
        weights[:, 0] = weights[:, mean.start] = 1.0
        weights[:, components] = self.directions * np.sqrt(len(self.virtual_mean))
        return weights
