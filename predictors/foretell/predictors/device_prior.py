"""What the devices that were measured, and made-up ones, say of the next device.

Each source device is one vector of weights, fitted on a few hundred architectures. A new device is their
mean, plus a little of each direction in which they and the made-up devices of `features.roofline_devices`
differ, plus a little of everything. All this is one Gaussian prior on the new device's weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from foretell.datasets.spaces.base import Choices, space
from foretell.errors import InputError
from foretell.features.architecture import REFERENCES, SEED, Basis
from foretell.features.base import Array
from foretell.predictors.evidence import Fit, fit

DIRECTIONS: Final = 10
"""Directions in which devices differ that the prior keeps."""
VIRTUAL_STEP: Final = 3
"""One made-up device in so many: the others lie between."""
VIRTUAL_WEIGHT: Final = 1.0
"""Spread of all made-up devices relative to that of all sources; leaving sources out, docs/log.md."""
OTHER_VIEW: Final = 0.25
"""Weight of a source that runs otherwise, next to one that runs as the view says."""
MIN_MEASURED: Final = 100
"""With fewer architectures the fit of a source says little."""


@dataclass(frozen=True, slots=True)
class Source:
    """One source device.

    Attributes:
        name: of the device.
        view: how its runtime treats architectures, see `Space.views`.
        fitted: weights that give a mean latency of one over the space.
    """

    name: str
    view: str
    fitted: Fit


@dataclass(frozen=True, slots=True)
class ViewPrior:
    """Prior on the weights of a new device whose runtime treats architectures in one way.

    Attributes:
        view: of the space.
        chance: that a new device runs so.
        mean: weights of the mean device.
        directions: shape (DIRECTIONS, features), in which devices differ.
    """

    view: str
    chance: float
    mean: Array
    directions: Array

    def loadings(self, basis: Basis) -> Array:
        """What a device's weights are a sum of: shape (latent, features).

        First the mean device, then the directions, a constant, and each indicator.
        """
        constant, *_, last = basis.blocks
        each = np.eye(last.stop)
        return np.concatenate([self.mean[None], self.directions, each[constant], each[last]])

    @property
    def blocks(self) -> tuple[slice, ...]:
        """Rows of `loadings` that share a variance."""
        constant = 1 + len(self.directions)
        return slice(0, 1), slice(1, constant), slice(constant, constant + 1), slice(constant + 1, None)


@dataclass(frozen=True, slots=True)
class Prior:
    """What is thought of a new device before it is measured.

    Attributes:
        basis: features of the space.
        views: one for each view of the space, in that order.
    """

    basis: Basis
    views: tuple[ViewPrior, ...]

    @classmethod
    def of(cls, basis: Basis, sources: Sequence[Source]) -> Self:
        """From fitted sources; without any from made-up devices alone."""
        views = space(basis.name).views
        seen = {view: sum(source.view == view for source in sources) for view in views}
        total = len(sources) + len(views)
        return cls(
            basis, tuple(_view_prior(basis, sources, view, (seen[view] + 1) / total) for view in views)
        )


def _view_prior(basis: Basis, sources: Sequence[Source], view: str, chance: float) -> ViewPrior:
    virtual = basis.virtual()[::VIRTUAL_STEP]
    weights = np.array([source.fitted.weights for source in sources]) if sources else virtual
    share = np.array(
        [1.0 if source.view == view else OTHER_VIEW for source in sources] or [1.0] * len(virtual)
    )
    share /= share.sum()
    mean = share @ weights
    spread = (weights - mean) * np.sqrt(share)[:, None]
    around = (virtual - mean) * VIRTUAL_WEIGHT / np.sqrt(len(virtual))
    return ViewPrior(view, chance, mean, _principal(basis, np.concatenate([spread, around])))


def fit_sources(basis: Basis, measured: Mapping[str, tuple[Choices, Array]]) -> list[Source]:
    """Fit each source device.

    Args:
        basis: features of the space.
        measured: device to architectures and their latencies in ms.

    Raises:
        InputError: a device with fewer than `MIN_MEASURED` architectures.
    """
    for name, (_, latency_ms) in measured.items():
        if len(latency_ms) < MIN_MEASURED:
            raise InputError(
                f"source {name}", len(latency_ms), f"{MIN_MEASURED} or more measured architectures"
            )
    return [_source(basis, name, *each) for name, each in measured.items()]


def _source(basis: Basis, name: str, choices: Choices, latency_ms: Array) -> Source:
    searched = space(basis.name)
    fits = {
        view: fit(basis.encode(choices, view), latency_ms / latency_ms.mean(), basis.blocks)
        for view in searched.views
    }
    view = min(fits, key=lambda each: fits[each].noise)
    best = fits[view]
    # The mean over the space in one view for all, so that sources compare whichever view they run.
    mean = float((_reference(basis) @ best.weights).mean())
    return Source(name, view, best._replace(weights=best.weights / mean))


def _reference(basis: Basis) -> Array:
    """Features of random architectures in the first view."""
    searched = space(basis.name)
    return basis.encode(searched.random(REFERENCES, np.random.default_rng(SEED)), searched.views[0])


def _principal(basis: Basis, spread: Array) -> Array:
    """Directions of the spread of devices, as latencies differ over the space and not as weights do."""
    times = _reference(basis) @ spread.T
    _, _, rotation = np.linalg.svd(times - times.mean(axis=0), full_matrices=False)
    return np.asarray(rotation[:DIRECTIONS] @ spread)
