"""One pool of servers: what finished there, models learnt from it, and how well their quantiles hold."""

import time
from collections import deque
from typing import Final

import msgspec
import numpy as np

from foretell.features.base import Array
from foretell.predictors.adaptive import AdaptiveQuantile
from foretell.predictors.latency import LatencyModel, SavedLatency, prior
from foretell.training.learner import TARGETS, Learner, Refit
from foretell.training.window import Finished, Window

SHOWN: Final = 300
"""Latest outcomes that are kept to be looked at."""
JUDGED: Final = 1000
"""Latest outcomes over which coverage and error are told."""
KEPT: Final = 4096
"""Past quantiles that are kept, so that an outcome is judged by the one that its request was given."""


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model as other processes get it.

    Attributes:
        pool: that it was learnt from.
        target: ``ttft`` or ``tpot``.
        fitted_at_s: Unix time.
        saved: the model.
        low: residual at 1 - the tracked level, as a multiple of the size of error.
        high: at the tracked level.
        misses: the share of misses that is aimed at, see `AdaptiveQuantile`; null for the level's own.
    """

    pool: str
    target: str
    fitted_at_s: float
    saved: SavedLatency
    low: float
    high: float
    misses: float | None = None


class Judged:
    """How one target's predictions fare."""

    def __init__(self, model: LatencyModel, level: float, misses: float | None = None) -> None:
        self.quantile = AdaptiveQuantile(level, np.asarray(model.saved.residuals), misses)
        self._given: deque[tuple[float, float]] = deque([(0.0, self.quantile.tracked)], maxlen=KEPT)
        self._covered: deque[bool] = deque(maxlen=JUDGED)
        self._ape: deque[float] = deque(maxlen=JUDGED)
        self.shown: deque[tuple[float, float, float, float]] = deque(maxlen=SHOWN)

    def observe(
        self, model: LatencyModel, state: Array, seconds: Array, asked_s: Array, now_s: float
    ) -> None:
        """Take outcomes of requests that asked at `asked_s`; all of shape (rows,) but `state`."""
        expected, size = model.expect(state)
        times, quantiles = np.array(self._given).T
        given = quantiles[np.maximum(times.searchsorted(asked_s, side="right") - 1, 0)]
        residuals = np.log(seconds / expected) / size
        high = expected * np.exp(size * given)
        self._covered.extend((seconds <= high).tolist())
        self._ape.extend((np.abs(expected / seconds - 1.0) * 100.0).tolist())
        latest = np.column_stack([np.full(len(seconds), now_s), expected, high, seconds])[-SHOWN:]
        self.shown.extend(tuple(row) for row in latest.tolist())
        self.quantile.observe(residuals, given)
        self._given.append((now_s, self.quantile.tracked))

    def figures(self) -> dict[str, float | None]:
        """Coverage and mean absolute percentage error of the latest outcomes; null where there are none."""
        if not self._covered:
            return {"coverage": None, "mape": None}
        return {"coverage": float(np.mean(self._covered) * 100.0), "mape": float(np.mean(self._ape))}

    def forget(self) -> None:
        """Drop the figures, not what was learnt of the errors."""
        self._covered.clear()
        self._ape.clear()
        self.shown.clear()


class PoolLearner:
    """Learns online what the servers of one pool do.

    Args:
        pool: its name.
        level: of the tracked quantile.
        published: models to begin with, by target; where there is none, the shipped prior.
    """

    def __init__(self, pool: str, level: float, published: dict[str, Published] | None = None) -> None:
        self.pool = pool
        self._level = level
        known = published or {}
        self.learner = Learner(Window())
        self.fitted_at_s = {target: held.fitted_at_s for target, held in known.items()}
        self._answering = {
            target: LatencyModel(known[target].saved) if target in known else prior(target)
            for target in TARGETS
        }
        # A prior is no competitor: the first model of a pool's own requests takes over.
        self.learner.models = {target: self._answering[target] for target in known}
        self.judged = {
            target: Judged(model, level, known[target].misses if target in known else None)
            for target, model in self._answering.items()
        }
        self.accepted = dict.fromkeys(TARGETS, 0)
        self.refused = dict.fromkeys(TARGETS, 0)
        self.new = 0

    def add(self, state: Array, ttft_s: Array, tpot_s: Array, *, judge: bool = True) -> None:
        """Take finished requests, oldest first; without `judge` only to learn from, as after a restart."""
        self.learner.add(state, ttft_s, tpot_s)
        self.new += len(state)
        if not judge:
            return
        now_s = time.time()
        asked_s = now_s - np.nan_to_num(ttft_s)
        for target, seconds in (("ttft", ttft_s), ("tpot", tpot_s)):
            known = np.isfinite(seconds) & (seconds > 0)
            if known.any():
                self.judged[target].observe(
                    self._answering[target], state[known], seconds[known], asked_s[known], now_s
                )

    def refit(self, rows: Finished) -> list[Refit]:
        """Learn from the rows; what is no worse answers from now on."""
        refits = self.learner.refit(rows)
        for refit in refits:
            if refit.accepted:
                if refit.target not in self.fitted_at_s:  # the prior's errors say nothing of a model's
                    self.judged[refit.target] = Judged(refit.model, self._level)
                self._answering[refit.target] = refit.model
                self.fitted_at_s[refit.target] = time.time()
                self.accepted[refit.target] += 1
            else:
                self.refused[refit.target] += 1
        return refits

    def published(self, target: str) -> Published:
        """The model that answers, with the quantiles as they are now."""
        quantile = self.judged[target].quantile
        low, high = quantile.all_at((1.0 - self._level, self._level)).tolist()
        return Published(
            self.pool,
            target,
            self.fitted_at_s.get(target, 0.0),
            self._answering[target].saved,
            low,
            high,
            quantile.misses,
        )
