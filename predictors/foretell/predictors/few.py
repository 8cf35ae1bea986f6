"""Physics for the first few hundred requests of a server, before trees pay.

So short a record tells little of what comes next, least of all while its load still grows. What to minimise,
and whether the latest errors go on, is therefore chosen by what would have foretold its last part from its
first, and so is how far it may err.
"""

from typing import Final, NamedTuple, TypeVar

import numpy as np

from foretell.features.base import Array
from foretell.features.queueing import Decode, Prefill

FEW: Final = 400
"""Fewer rows than this are few."""
FIRST_SHARE: Final = 0.85
"""Of 0.7 and 0.85 the one that sees a server fill up before it is judged."""
LATEST: Final = 20
"""Rows whose errors may go on."""
MOST_DRIFT: Final = 2.0

Physics = TypeVar("Physics", Prefill, Decode)


class Way(NamedTuple):
    """One way to fit; `power` as in `foretell.features.queueing.costs_of`."""

    power: float
    drift: bool


WAYS: Final = (Way(1.0, False), Way(1.0, True), Way(0.0, False), Way(0.0, True))


class Fitted(NamedTuple):
    """A server's physics.

    Attributes:
        physics: fitted to all rows.
        errors: of log seconds, on the last part of the record, foretold from the first.
        mape: mean absolute percentage error of the same.
    """

    physics: Prefill | Decode
    errors: Array
    mape: float


def fit_few(target: str, state: Array, seconds: Array) -> Fitted:
    """The physics of the best way, fitted to all rows, which come oldest first."""
    first = int(len(seconds) * FIRST_SHARE)
    late = seconds[first:]
    foretold = [
        seconds_of(fitted(target, state[:first], seconds[:first], way), state[first:]) for way in WAYS
    ]
    mapes = [float(np.mean(np.abs(said / late - 1.0)) * 100.0) for said in foretold]
    best = int(np.argmin(mapes))
    physics = fitted(target, state, seconds, WAYS[best])
    return Fitted(physics, np.log(late / foretold[best]), mapes[best])


def fitted(target: str, state: Array, seconds: Array, way: Way) -> Prefill | Decode:
    """Physics by one way."""
    if target == "ttft":
        return _drifted(Prefill.fit(state, seconds, way.power), state, seconds, way)
    return _drifted(Decode.fit(state, seconds, way.power), state, seconds, way)


def seconds_of(physics: Prefill | Decode, state: Array) -> Array:
    """What it expects, shape (rows,)."""
    return physics.expect(state)[0] if isinstance(physics, Prefill) else physics.expect(state)


def _drifted(physics: Physics, state: Array, seconds: Array, way: Way) -> Physics:
    if not way.drift:
        return physics
    factor = float(np.median(seconds[-LATEST:] / seconds_of(physics, state[-LATEST:])))
    return physics.times(min(max(factor, 1.0 / MOST_DRIFT), MOST_DRIFT))
