"""All forecasters of both targets side by side: they see the same, and refit at the same moments."""

import copy
from collections.abc import Iterable, Mapping
from typing import Final, Self

import numpy as np

from foretell.features.base import Array
from foretell.training.bench.forecasters import Forecaster, Foretell, Linear, LlmdLike, Previous
from foretell.training.bench.streams import Stream
from foretell.training.learner import TARGETS, Learner, usable

FORECASTERS: Final = ("foretell", "previous value", "linear", "llm-d")
FIRST_REFIT: Final = 100
"""Finished requests of a run after which all are refitted; then after twice as many, up to `REFIT_EVERY`."""
REFIT_EVERY: Final = 500


class Contest:
    """A window of finished requests, and who forecasts from it."""

    def __init__(self) -> None:
        self._learner = Learner()
        self._forecasters: dict[tuple[str, str], Forecaster] = {}
        self._new = 0
        self._refit_at = FIRST_REFIT

    @classmethod
    def prepared(cls, runs: Iterable[Stream]) -> Self:
        """Everyone fitted to recorded runs."""
        contest = cls()
        contest._take(runs)
        contest._refit()
        return contest

    def again(self, runs: Iterable[Stream]) -> Self:
        """The same as it was when it had been `prepared` with these runs."""
        contest = type(self)()
        contest._take(runs)
        contest._learner.models = dict(self._learner.models)
        contest._forecasters = {
            # A tracker of quantiles and the last value move with a run: each run has its own.
            key: Foretell(self._learner.models[key[0]])
            if isinstance(forecaster, Foretell)
            else copy.copy(forecaster)
            for key, forecaster in self._forecasters.items()
        }
        return contest

    def observe(self, finished: Stream, high: Mapping[tuple[str, str], Array]) -> None:
        """Requests of the run have finished, in this order.

        Args:
            finished: the requests.
            high: the quantile that each forecaster gave at their arrival, NaN where none was asked.
        """
        if not len(finished):
            return
        for (target, name), forecaster in self._forecasters.items():
            forecaster.observe(finished.state, finished.seconds[target], high[target, name])
        self._take([finished])
        self._new += len(finished)
        if self._new >= self._refit_at:
            self._refit_at += min(self._refit_at, REFIT_EVERY)
            self._refit()

    def predict(self, state: Array) -> dict[tuple[str, str], Array]:
        """Point and quantile, shape (rows, 2), by target and forecaster."""
        return {
            key: np.column_stack(forecaster.predict(state)) for key, forecaster in self._forecasters.items()
        }

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Target and forecaster of every answer."""
        return list(self._forecasters)

    def _take(self, runs: Iterable[Stream]) -> None:
        for run in runs:
            self._learner.add(run.state, run.seconds["ttft"], run.seconds["tpot"])

    def _refit(self) -> None:
        refits = {refit.target: refit.model for refit in self._learner.refit()}
        rows = self._learner.window.rows()
        for target in TARGETS:
            state, seconds, _ = usable(rows, target)
            known = self._forecasters.get((target, "foretell"))
            self._forecasters[target, "foretell"] = (
                known.refitted(refits[target]) if isinstance(known, Foretell) else Foretell(refits[target])
            )
            self._forecasters[target, "linear"] = Linear(state, seconds)
            self._forecasters[target, "llm-d"] = LlmdLike(target, state, seconds)
            if (target, "previous value") not in self._forecasters:
                self._forecasters[target, "previous value"] = Previous(seconds)
