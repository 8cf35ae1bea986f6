"""The models that answer now. They are replaced, never changed: a call sees one set all along."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from foretell.features.base import Array
from foretell.predictors.latency import LatencyModel, prior
from foretell.serving.llmd.messages import MODEL_TYPE, Prediction, Request
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.rows import state_of_requests
from foretell.training.online import Published

BOUND: Final = 1.2815515655446004
"""Standard deviations of a normal error below its 90 % quantile."""
MAX_MS: Final = 1e12


class Times(NamedTuple):
    """Milliseconds of one target, each of shape (rows,)."""

    point: Array
    low: Array
    high: Array


@dataclass(frozen=True, slots=True)
class Held:
    """A model that answers.

    Attributes:
        model: the model.
        low: residual at 1 - the level of the bounds.
        high: at that level.
        fitted_at_s: Unix time; 0 for the shipped prior.
    """

    model: LatencyModel
    low: float
    high: float
    fitted_at_s: float

    def times(self, state: Array, *, quantile: bool) -> Times:
        """Answers; with `quantile` the point is the upper bound."""
        seconds, size = self.model.expect(state)
        expected = np.minimum(seconds * 1e3, MAX_MS)
        low = expected * np.exp(size * self.low)
        high = expected * np.exp(size * self.high)
        point = high if quantile else expected
        return Times(point, np.minimum(low, point), np.maximum(high, point))


def held(published: Published) -> Held:
    """A published model, ready to answer."""
    return Held(LatencyModel(published.saved), published.low, published.high, published.fitted_at_s)


class Models:
    """Models by pool and target; a pool without its own is answered by the unnamed pool's, then the prior.

    Args:
        options: what is answered.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        priors = {target: prior(target) for target in ("ttft", "tpot")}
        level = options.quantile
        residuals = {target: np.asarray(model.saved.residuals) for target, model in priors.items()}
        self._prior = {
            target: Held(
                model,
                float(np.quantile(residuals[target], 1.0 - level)),
                float(np.quantile(residuals[target], level)),
                0.0,
            )
            for target, model in priors.items()
        }
        self._held: dict[str, dict[str, Held]] = {}
        self._loaded_at: str | None = None
        self.loaded_at_s = 0.0

    def take(self, published: Published, ready: Held) -> None:
        """Answer with it from the next call on."""
        mine = self._held.get(published.pool, {})
        self._held = {**self._held, published.pool: {**mine, published.target: ready}}
        self.loaded_at_s = time.time()
        self._loaded_at = stamp(self.loaded_at_s)

    def requantile(self, pool: str, target: str, low: float, high: float) -> None:
        """The same model with other bounds."""
        mine = self._held.get(pool, {})
        if target in mine:
            now = replace(mine[target], low=low, high=high)
            self._held = {**self._held, pool: {**mine, target: now}}

    def of(self, pool: str) -> dict[str, Held]:
        """What answers for a pool, by target."""
        return {**self._prior, **self._held.get("", {}), **self._held.get(pool, {})}

    def published(self) -> list[Published]:
        """All but the prior, as other processes take them."""
        return [
            Published(pool, target, held.fitted_at_s, held.model.saved, held.low, held.high)
            for pool, targets in self._held.items()
            for target, held in targets.items()
        ]

    @property
    def pools(self) -> list[str]:
        """Those with models of their own."""
        return sorted(self._held)

    @property
    def learnt(self) -> bool:
        """Whether anything but the prior answers."""
        return bool(self._held)

    @property
    def loaded_at(self) -> str | None:
        """RFC 3339; null while the prior answers."""
        return self._loaded_at

    def predict(self, requests: Sequence[Request]) -> list[Prediction]:
        """Answers in the order of the requests."""
        state = state_of_requests(requests)
        pools = {request.pool for request in requests}
        if len(pools) == 1:
            return self._answers(state, next(iter(pools)))
        answers: list[Prediction | None] = [None] * len(requests)
        for pool in pools:
            rows = [row for row, request in enumerate(requests) if request.pool == pool]
            for row, answer in zip(rows, self._answers(state[rows], pool), strict=True):
                answers[row] = answer
        return [answer for answer in answers if answer is not None]

    def _answers(self, state: Array, pool: str) -> list[Prediction]:
        models = self.of(pool)
        quantile = self._options.objective == "quantile"
        ttft = models["ttft"].times(state, quantile=quantile)
        tpot = models["tpot"].times(state, quantile=quantile)
        now = stamp(time.time())
        same = (MODEL_TYPE, self._options.objective, self._options.quantile, self._loaded_at)
        return [
            Prediction(first, each, first_doubt, each_doubt, first_bounds, each_bounds, now, *same)
            for first, each, first_doubt, each_doubt, first_bounds, each_bounds in zip(
                ttft.point.tolist(),
                tpot.point.tolist(),
                ((ttft.high - ttft.low) / (2 * BOUND)).tolist(),
                ((tpot.high - tpot.low) / (2 * BOUND)).tolist(),
                zip(ttft.low.tolist(), ttft.high.tolist(), strict=True),
                zip(tpot.low.tolist(), tpot.high.tolist(), strict=True),
                strict=True,
            )
        ]


def stamp(unix_s: float) -> str:
    """RFC 3339 in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z")
