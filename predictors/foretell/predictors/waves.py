"""How long a kernel takes, from a few numbers of its device: launch, waves of tiles, memory and cache.

    time = launch / clock + (cores^p + memory^p)^(1/p)

`cores` is the fastest of all ways to cut the work into tiles: waves times the time of a tile, arithmetic or
loads, whichever is slower, and a start-up of its own. `memory` is what the cache does not hold over the
bandwidth. The waves are those of Habitat (Yu et al., ATC 2021) and NeuSight (Lee et al., ASPLOS 2025), but
what those learn by networks is left to eight numbers of a table of measurements, its `EFFECTS`. They vary
little between devices, in units of cycles and of published rates, so that those of a device which
nobody measured are known within a prior, and a handful of its own measurements tells them (`Waves.adapted`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array
from foretell.predictors.work import TILES, Work

EFFECTS: Final = ("launch", "compute", "memory", "start", "load", "fabric", "reduce", "rounding")
"""Of one table, as logarithms: cycles of a launch; shares of the peak rate and bandwidth; cycles of a tile's
start; bytes that a core loads in a cycle; share of the fabric; µs to add up partial sums; and, no logarithm,
how much of a last, partial wave counts as whole."""
TYPICAL: Final = np.array(
    [np.log(4500), np.log(0.8), np.log(0.82), np.log(700), np.log(40), -0.9, np.log(2.5), 0.6]
)
"""What to expect before any measurement."""
DOUBT: Final = np.array([1.0, 0.3, 0.2, 1.0, 0.5, 0.3, 0.5, 0.2])
"""Standard deviations of `TYPICAL`."""
SPREAD: Final = np.array([0.25, 0.12, 0.08, 0.4, 0.25, 0.3, 0.25, 0.2])
"""How far one device is from the next."""
SHARED: Final = ("sharpness", "rotation", "span", *(f"tile_{number}" for number in range(len(TILES))))
"""What tables share, as logarithms: p - 1; calls until the same weights come again; the square that a wave
covers over what it would without grouping; and the inefficiency of each tile."""
SHARED_TYPICAL: Final = np.array([0.0, np.log(6.0), 0.0, *([0.0] * len(TILES))])
"""aiconfigurator's collectors call six layers with weights of their own in turn."""
SHARED_DOUBT: Final = np.array([1.0, 0.1, 0.5, *([0.2] * len(TILES))])
STEEPNESS: Final = 6.0
"""How suddenly a working set stops to fit the cache."""
RESCALED: Final = 1.0
"""A core that calculates twice as fast also loads twice as fast: designs are balanced."""
TRUST: Final = 1000.0
"""Weight of the mean absolute residual against the priors."""
ROUNDED: Final = 0.05
"""Residuals under this count quadratically."""
NOISE: Final = 0.085
"""Of one measurement of a new device around what its effects say, in logarithms."""
TAIL: Final = 9.0
"""Squared deviations of tables from which on they count linearly: some are odd."""
ITERATIONS: Final = 25
TRIALS: Final = 6
LONGEST: Final = 0.5
"""Step in a parameter."""
DIFFERENCE: Final = 1e-4
ENOUGH: Final = 1e-4
"""Relative improvement below which a fit is done."""


class Choice(NamedTuple):
    """The cut that was chosen for each row; the fields are those of `Work`, shape (rows,)."""

    waves: Array
    share: Array
    compute: Array
    load: Array
    partial: Array
    tile: npt.NDArray[np.intp]
    split: npt.NDArray[np.bool_]


class Parts(NamedTuple):
    """What a time is made of, µs, shape (rows,)."""

    launch: Array
    cores: Array
    memory: Array
    total: Array


@dataclass(frozen=True, slots=True)
class Waves:
    """What the tables of one kind of arithmetic share.

    Attributes:
        shared: values of `SHARED`.
        width: logarithm of operations per core and cycle to which the effect ``load`` refers.
    """

    shared: Array
    width: float

    @classmethod
    def fit(
        cls, work: Work, log_label: Array, tables: npt.NDArray[np.intp], weights: Array
    ) -> tuple["Waves", Array]:
        """Learn what is shared, and the effects of each table.

        Args:
            work: of all rows.
            log_label: logarithm of the measured µs, shape (rows,).
            tables: number of each row's table.
            weights: of the rows, with a mean of 1.

        Returns:
            The model, and effects of shape (tables, effects).
        """
        width = float(np.average(work.log_width, weights=weights))
        count, effects = int(tables.max()) + 1, len(EFFECTS)
        start = np.concatenate([SHARED_TYPICAL, TYPICAL, np.zeros(count * effects)])
        doubt = np.concatenate([SHARED_DOUBT, DOUBT, np.tile(SPREAD, count)])
        own = len(SHARED) + effects
        # A table adds to what is typical: the columns of its effects are shared ones, for its rows.
        numbers = own + tables[:, None] * effects + np.arange(effects)
        rows = np.arange(len(log_label))[:, None]

        def unpacked(at: Array) -> tuple[Waves, Array]:
            return cls(at[: len(SHARED)], width), at[len(SHARED) : own] + at[numbers]

        def residuals(at: Array) -> tuple[Array, Callable[[], Array]]:
            waves, by_row = unpacked(at)
            choice = waves.chosen(work, by_row)
            log_us = waves.log_us(work, by_row, choice)

            def slopes() -> Array:
                jacobian = np.zeros((len(log_us), len(at)))
                jacobian[:, : len(SHARED)] = waves.shared_slopes(work, by_row, choice, log_us)
                jacobian[:, len(SHARED) : own] = waves.slopes(work, by_row, choice, log_us)
                jacobian[rows, numbers] = jacobian[:, len(SHARED) : own]
                return jacobian

            return log_label - log_us, slopes

        heavy = np.arange(len(start)) >= own
        precision = weights * (TRUST / len(log_label))
        found, _ = _Problem(residuals, start, doubt, heavy, precision, ROUNDED).solve()
        return cls(found[: len(SHARED)], width), found[len(SHARED) : own] + found[own:].reshape(
            count, effects
        )

    def adapted(self, work: Work, log_label: Array, centre: Array, spread: Array) -> tuple[Array, Array]:
        """Effects of a table of which a handful was measured, and their covariance.

        Args:
            work: of the measured rows.
            log_label: logarithm of the measured µs over what else is known of them, shape (rows,).
            centre: effects to expect, shape (effects,).
            spread: their standard deviations.
        """

        def residuals(at: Array) -> tuple[Array, Callable[[], Array]]:
            choice = self.chosen(work, at)
            log_us = self.log_us(work, at, choice)
            return log_label - log_us, lambda: self.slopes(work, at, choice, log_us)

        heavy = np.zeros(len(centre), dtype=bool)
        precision = np.full(len(log_label), np.sqrt(2.0) / NOISE)
        rounded = NOISE * np.sqrt(2.0)
        found, curvature = _Problem(residuals, centre, spread, heavy, precision, rounded).solve()
        return found, np.asarray(np.linalg.inv(curvature), dtype=np.float64)

    def chosen(self, work: Work, effects: Array) -> Choice:
        """The fastest cut of each row.

        Args:
            work: of the rows.
            effects: shape (rows, effects), or (effects,) for all rows.
        """
        if len(work.tile) == 1:
            picked: npt.NDArray[np.intp] = np.zeros(len(work.clock), dtype=np.intp)
        else:
            picked = self._cores(
                work, effects, Choice(*(getattr(work, name) for name in Choice._fields))
            ).argmin(0)
        rows = np.arange(len(picked))
        waves, share, compute, load, partial = (
            getattr(work, name)[picked, rows] for name in Choice._fields[:5]
        )
        return Choice(waves, share, compute, load, partial, work.tile[picked], work.split[picked])

    def parts(self, work: Work, effects: Array, choice: Choice) -> Parts:
        """What the time of each row is made of."""
        launch, _, memory, _, _, fabric, _, _ = np.moveaxis(effects, -1, 0)
        sharpness, rotation, span = self.shared[:3]
        launch_us = np.exp(launch) / work.clock
        cores_us = self._cores(work, effects, choice)
        all_bytes = work.weights + work.others
        warm = 1.0 / (1.0 + (all_bytes / work.cache) ** STEEPNESS)
        warm_weights = 1.0 / (
            1.0 + ((np.exp(rotation) * work.weights + work.others) / work.cache) ** STEEPNESS
        )
        kept = work.weights * warm_weights + work.others * warm
        again = _again(work.left, work.columns_over_span, span, work.cache) + _again(
            work.weights, work.rows_over_span, span, work.cache
        )
        memory_us = (all_bytes - kept + again) / (work.bandwidth * np.exp(memory)) + kept / (
            work.fabric * np.exp(fabric)
        )
        p = 1.0 + np.exp(sharpness)
        total = launch_us + (cores_us**p + memory_us**p) ** (1.0 / p)
        return Parts(launch_us, cores_us, memory_us, total)

    def log_us(self, work: Work, effects: Array, choice: Choice) -> Array:
        """Logarithm of the time of each row in µs."""
        return np.asarray(np.log(self.parts(work, effects, choice).total))

    def slopes(self, work: Work, effects: Array, choice: Choice, log_us: Array) -> Array:
        """Derivatives of `log_us` by the effects, shape (rows, effects), for the cut that was chosen."""
        steps = DIFFERENCE * np.eye(len(EFFECTS))
        moved = [self.log_us(work, effects + step, choice) for step in steps]
        return (np.stack(moved, axis=1) - log_us[:, None]) / DIFFERENCE

    def shared_slopes(self, work: Work, effects: Array, choice: Choice, log_us: Array) -> Array:
        """Derivatives of `log_us` by what is shared, shape (rows, shared)."""
        steps = DIFFERENCE * np.eye(len(SHARED))
        moved = [Waves(self.shared + step, self.width).log_us(work, effects, choice) for step in steps]
        return (np.stack(moved, axis=1) - log_us[:, None]) / DIFFERENCE

    def _cores(self, work: Work, effects: Array, choice: Choice) -> Array:
        """µs of the cores, for one cut a row or for all candidates."""
        _, compute, _, start, load, fabric, reduce, rounding = np.moveaxis(effects, -1, 0)
        per_tile = np.append(self.shared[3:], 0.0)[choice.tile]  # -1, no tile, is the last
        split = choice.split
        if choice.compute.ndim == 2:  # one row of values for each candidate
            per_tile, split = per_tile[:, None], split[:, None]
        loaded = np.exp(load + RESCALED * (work.log_width - self.width))
        arithmetic = choice.compute * np.exp(per_tile - compute)
        tile_us = np.maximum(arithmetic, choice.load / loaded)
        is_tile = np.where(choice.tile >= 0, 1.0, 0.0)
        is_tile = is_tile[:, None] if choice.compute.ndim == 2 else is_tile
        tile_us = tile_us + is_tile * np.exp(start) / work.clock
        waves = choice.share + rounding * (choice.waves - choice.share)
        return np.asarray(
            waves * tile_us + split * np.exp(reduce) + choice.partial / (work.fabric * np.exp(fabric))
        )


def _again(operand: Array, over_span: Array, span: float, cache: Array) -> Array:
    """Bytes of an operand that are read again: it does not fit the cache, nor a wave span the result."""
    times = np.maximum(over_span * np.exp(-span) - 1.0, 0.0)
    return np.asarray(operand * times / (1.0 + (cache / np.maximum(operand, 1.0)) ** (STEEPNESS / 2)))


@dataclass(frozen=True, slots=True)
class _Problem:
    """Least absolute residuals and squared deviations from what is expected.

    Attributes:
        residuals: residuals at some parameters, and how to get the derivatives of the prediction there.
        start: parameters to begin with, and to expect.
        doubt: their standard deviations.
        heavy: which of them may be far off (see `TAIL`).
        precision: weight of each absolute residual.
        rounded: below this a residual counts quadratically.
    """

    residuals: Callable[[Array], tuple[Array, Callable[[], Array]]]
    start: Array
    doubt: Array
    heavy: npt.NDArray[np.bool_]
    precision: Array
    rounded: float

    def solve(self) -> tuple[Array, Array]:
        """The parameters, by Gauss-Newton, damped and reweighted; and the curvature of the cost there."""
        at, damping = self.start.copy(), 1e-2
        residual, slopes = self.residuals(at)
        least = self._cost(residual, at)
        for _ in range(ITERATIONS):
            curvature, descent = self._expansion(residual, slopes(), at)
            for _ in range(TRIALS):
                damped = curvature + damping * np.diag(np.diag(curvature))
                step = np.clip(np.linalg.solve(damped, descent), -LONGEST, LONGEST)
                tried, tried_slopes = self.residuals(at + step)
                if (reached := self._cost(tried, at + step)) < least:
                    break
                damping *= 4.0
            else:
                break
            better = least - reached
            at, residual, slopes, least = at + step, tried, tried_slopes, reached
            damping = max(damping / 3.0, 1e-5)
            if better < ENOUGH * least:
                break
        return at, self._expansion(residual, slopes(), at)[0]

    def _cost(self, residual: Array, at: Array) -> float:
        away = ((at - self.start) / self.doubt) ** 2
        prior = np.where(self.heavy, 2 * TAIL * (np.sqrt(1 + away / TAIL) - 1), away)
        return float((self.precision * np.sqrt(residual**2 + self.rounded**2)).sum() + 0.5 * prior.sum())

    def _expansion(self, residual: Array, slopes: Array, at: Array) -> tuple[Array, Array]:
        """Curvature and descent of the cost."""
        weighted = slopes * (self.precision / np.sqrt(residual**2 + self.rounded**2))[:, None]
        away = at - self.start
        tails = np.sqrt(1.0 + (away / self.doubt) ** 2 / TAIL)
        prior = np.where(self.heavy, 1.0 / tails, 1.0) / self.doubt**2
        return weighted.T @ slopes + np.diag(prior), weighted.T @ residual - prior * away
