"""Learning from finished requests: refit on a window, and yield only to a model that is no worse."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array
from foretell.predictors.latency import LEAST_ROWS, LatencyModel
from foretell.training.window import Finished, Window

TARGETS: Final = ("ttft", "tpot")
RECENT: Final = 300
"""Latest held-out rows on which a new model has to be no worse."""
LEEWAY: Final = 1.02
"""No worse means this close: among so many rows the mean error itself is uncertain by more."""


@dataclass(frozen=True, slots=True)
class Refit:
    """What came of one refit of one target.

    Attributes:
        target: ``ttft`` or ``tpot``.
        model: the one to answer with from now on.
        accepted: whether that is the new one.
        mape: of the new model on recent held-out rows, percent; NaN where there are none.
        before: of the one that answered until now, likewise.
    """

    target: str
    model: LatencyModel
    accepted: bool
    mape: float
    before: float


class Learner:
    """A window of finished requests and the models learnt from it.

    Args:
        window: keeps the rows.
    """

    def __init__(self, window: Window | None = None) -> None:
        self.window = window or Window()
        self.models: dict[str, LatencyModel] = {}

    def add(self, state: Array, ttft_s: Array, tpot_s: Array) -> None:
        """Take finished requests, oldest first."""
        self.window.add(state, ttft_s, tpot_s)

    def refit(self, rows: Finished | None = None) -> list[Refit]:
        """Fit what has enough rows, by default those of the window; `models` then holds what answers."""
        rows = rows or self.window.rows()
        return [refit for target in TARGETS if (refit := self._refit(target, rows)) is not None]

    def _refit(self, target: str, rows: Finished) -> Refit | None:
        state, seconds, held_out = usable(rows, target)
        if (~held_out).sum() < LEAST_ROWS:
            return None
        new = LatencyModel.fit(target, state, seconds, held_out=held_out)
        old = self.models.get(target)
        recent = np.flatnonzero(held_out)[-RECENT:]
        mape, before = (_mape(model, state[recent], seconds[recent]) for model in (new, old))
        accepted = old is None or not mape > before * LEEWAY
        if accepted:
            self.models[target] = new
        return Refit(target, self.models[target], accepted, mape, before)


def usable(rows: Finished, target: str) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
    """State, seconds and held-out mark of the rows that have the target's time."""
    seconds = rows.ttft_s if target == "ttft" else rows.tpot_s
    known = np.isfinite(seconds) & (seconds > 0)
    return rows.state[known], seconds[known], rows.held_out[known]


def _mape(model: LatencyModel | None, state: Array, seconds: Array) -> float:
    if model is None or not len(seconds):
        return float("nan")
    return float(np.mean(np.abs(model.expect(state)[0] / seconds - 1.0)) * 100.0)
