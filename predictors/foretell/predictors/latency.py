"""Time to first token and time per output token of LLM requests: physics, trees on what it misses, quantiles.

The trees learn log(actual / physics), which stays near zero where the load is one that nobody has recorded.
Rows weigh by 1 / actual, so that the answer is the one with the least expected percentage error.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final, Self

import msgspec
import numpy as np
import numpy.typing as npt

from foretell.errors import InputError
from foretell.features.base import Array
from foretell.features.queueing import Decode, Prefill
from foretell.features.request import STATE, column, has_history, own_tokens, work_tokens
from foretell.predictors.ensemble import Ensemble
from foretell.predictors.few import FEW, fit_few
from foretell.predictors.native import NativeBooster
from foretell.predictors.packed import PackedTrees

LEAST_ROWS: Final = 50
"""Fewer finished requests than this fit nothing."""
HELD_OUT: Final = 10
"""Each tenth row is kept from the trees, and says how far they err."""
MOST_LOG: Final = 4.0
"""Most that the trees depart from the physics: a factor of 55."""
SIZE_BINS: Final = 6
"""Ranges of the expected time that have a size of error each."""
LEAST_SIZE: Final = 0.01
"""Errors under 1 % are the clock's."""


@dataclass(frozen=True, slots=True)
class LatencyOptions:
    """Options of the trees.

    Attributes:
        trees: boosting iterations.
        leaves: leaves of a tree.
        learning_rate: shrinkage of each tree.
        min_rows: least number of rows in a leaf.
    """

    trees: int
    leaves: int
    learning_rate: float
    min_rows: int

    def for_rows(self, rows: int) -> Self:
        """No more leaves than the rows can fill."""
        return replace(self, leaves=max(4, min(self.leaves, rows // 40)))


TTFT_OPTIONS: Final = LatencyOptions(trees=200, leaves=63, learning_rate=0.06, min_rows=20)
ROUTER_TTFT_OPTIONS: Final = LatencyOptions(trees=150, leaves=9, learning_rate=0.2, min_rows=20)
"""Without history: a router asks for a hundred servers at once, and trees of up to eight splits, which are
read a byte at a time, cost it 0.1 points of error."""
TPOT_OPTIONS: Final = LatencyOptions(trees=150, leaves=7, learning_rate=0.05, min_rows=80)
ROUTER_TPOT_OPTIONS: Final = LatencyOptions(trees=100, leaves=7, learning_rate=0.075, min_rows=80)
OPTIONS: Final = {
    ("ttft", True): TTFT_OPTIONS,
    ("ttft", False): ROUTER_TTFT_OPTIONS,
    ("tpot", True): TPOT_OPTIONS,
    ("tpot", False): ROUTER_TPOT_OPTIONS,
}
"""By target, and whether its rows have history."""


class SavedLatency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of a model but its boosters' handle.

    Attributes:
        target: ``ttft`` or ``tpot``.
        history: whether its rows know what happened before them at their server.
        prefill: physics of the first token.
        decode: physics of the following ones; null for ``ttft``.
        booster: LightGBM's text; empty where the physics answer alone.
        edges: expected seconds between the ranges of `sizes`.
        sizes: mean absolute error of log(actual) in each range.
        residuals: of rows held out, as multiples of their size.
        rows: finished requests that it learnt from.
    """

    target: str
    history: bool
    prefill: Prefill
    decode: Decode | None
    booster: str
    edges: tuple[float, ...]
    sizes: tuple[float, ...]
    residuals: tuple[float, ...]
    rows: int


class LatencyModel:
    """A fitted model of one target; immutable, and safe to ask from several threads.

    Args:
        saved: what it is made of.
    """

    def __init__(self, saved: SavedLatency) -> None:
        self.saved = saved
        self._trees = trees_of(saved.booster) if saved.booster else None
        self._edges = np.asarray(saved.edges)
        self._log_sizes = np.asarray(saved.sizes)

    @classmethod
    def fit(
        cls,
        target: str,
        state: Array,
        seconds: Array,
        *,
        seed: int = 0,
        held_out: npt.NDArray[np.bool_] | None = None,
    ) -> "LatencyModel":
        """Learn from finished requests.

        Args:
            target: ``ttft`` or ``tpot``.
            state: shape (rows, columns), see `foretell.features.request.state_of`.
            seconds: what came of them, shape (rows,), positive.
            seed: of the trees.
            held_out: which rows to keep from the trees, shape (rows,), boolean; by default each tenth.

        Raises:
            InputError: too few rows, or times that are not positive and finite.
        """
        if len(seconds) < LEAST_ROWS:
            raise InputError("rows", len(seconds), f"at least {LEAST_ROWS} finished requests")
        if not (np.isfinite(seconds) & (seconds > 0)).all():
            raise InputError(f"{target}_s", "", "positive finite times")
        kept = (np.arange(len(seconds)) % HELD_OUT == HELD_OUT // 2) if held_out is None else held_out
        if len(seconds) < FEW:
            return _of_few(target, state, seconds)
        learnt = ~kept
        prefill = Prefill.fit(state[learnt], seconds[learnt]) if target == "ttft" else UNKNOWN
        decode = Decode.fit(state[learnt], seconds[learnt]) if target == "tpot" else None
        features, expected = encode(state, prefill, decode)
        z = np.log(seconds / expected)
        text = _boosted(OPTIONS[target, has_history(state)], features[learnt], z[learnt], seed)
        saved = SavedLatency(
            target, has_history(state), prefill, decode, text, (), (1.0,), (0.0,), int(learnt.sum())
        )
        error = z[kept] - np.clip(trees_of(text).predict(features[kept]), -MOST_LOG, MOST_LOG)
        return _calibrated(saved, expected[kept], error)

    def expect(self, state: Array) -> tuple[Array, Array]:
        """Seconds, and the size of error of their logarithm, each of shape (rows,)."""
        features, expected = encode(state, self.saved.prefill, self.saved.decode)
        sizes = self._log_sizes[self._edges.searchsorted(expected)]
        if self._trees is None:
            return expected, sizes
        z = self._trees.predict(features)
        np.clip(z, -MOST_LOG, MOST_LOG, out=z)
        return expected * np.exp(z), sizes

    def residuals(self, state: Array, seconds: Array) -> Array:
        """How far outcomes lie from what was expected, as multiples of the size of error; shape (rows,)."""
        expected, size = self.expect(state)
        return np.log(seconds / expected) / size


UNKNOWN: Final = Prefill(0, (0.0,) * 7)
PRIOR_PREFILL: Final = Prefill(2048, (12e-3, 5e-5, 1e-7, 5e-5, 0.0, 0.0, 1e-2))
PRIOR_DECODE: Final = Decode(0.0, (12e-3, 5e-5, 1e-7, 5e-3))
"""Costs of a model of some ten billion parameters on one data-centre GPU, to the nearest round number."""
PRIOR_SIZE: Final = 0.7
"""Half of all servers are within a factor of 1.6 of these, nine in ten within 3.2."""


def prior(target: str) -> LatencyModel:
    """What is answered before any request has finished: physics with round numbers, and wide quantiles."""
    normal = NormalDist()
    residuals = tuple(normal.inv_cdf((number + 0.5) / 100) for number in range(100))
    first = target == "ttft"
    return LatencyModel(
        SavedLatency(
            target,
            history=False,
            prefill=PRIOR_PREFILL if first else UNKNOWN,
            decode=None if first else PRIOR_DECODE,
            booster="",
            edges=(),
            sizes=(PRIOR_SIZE,),
            residuals=residuals,
            rows=0,
        )
    )


def trees_of(text: str) -> PackedTrees | NativeBooster:
    """The quickest reader of a booster's text.

    Raises:
        ArtefactError: a text that is damaged.
    """
    ensemble = Ensemble.parse(text)
    return PackedTrees.of(ensemble.trees) or NativeBooster(ensemble)


def feature_names(saved: SavedLatency) -> list[str]:
    """What the columns of `encode` are, in order."""
    if saved.decode is not None:
        return ["work_tokens", "own_tokens", *STATE, "expected_s"]
    seen = [name for name in STATE if name != "generated_tokens"]
    named = ["work_tokens", "own_tokens", *seen, "iterations", "slack", "expected_s", "iteration_s"]
    history = ["since_event_s", "since_arrival_s", "served", "phase", "event_phase", "idle_s"]
    return named + history * saved.history


def encode(state: Array, prefill: Prefill, decode: Decode | None) -> tuple[Array, Array]:
    """Features of shape (rows, features) and the physics' seconds, shape (rows,)."""
    if decode is None:
        return _ttft_features(state, prefill)
    return _tpot_features(state, decode)


def _ttft_features(state: Array, prefill: Prefill) -> tuple[Array, Array]:
    expected, iterations = prefill.expect(state)
    work, own = work_tokens(state), own_tokens(state)
    room = np.maximum(prefill.budget - column(state, "decoding"), 1.0)
    each = expected / iterations
    given = [
        work,
        own,
        *(column(state, name) for name in STATE if name != "generated_tokens"),
        iterations,
        iterations - work / room,
        expected,
        each,
    ]
    if has_history(state):
        since, gap = column(state, "since_event_s"), column(state, "since_arrival_s")
        served = column(state, "served_tokens") / room
        # Where in its current iteration the server is: a request waits for the rest of it.
        given += [since, gap, served, np.minimum(since, gap) / each, np.modf(since / each)[0]]
        given += [gap - served * each]
    return np.stack(given, axis=1), expected


def _tpot_features(state: Array, decode: Decode) -> tuple[Array, Array]:
    expected = decode.expect(state)
    given = [work_tokens(state), own_tokens(state), *(column(state, name) for name in STATE), expected]
    return np.stack(given, axis=1), expected


def _boosted(options: LatencyOptions, features: Array, z: Array, seed: int) -> str:
    import lightgbm  # noqa: PLC0415  (a second of processor time that only training needs)

    own = options.for_rows(len(z))
    parameters = {
        "objective": "l1",
        "num_leaves": own.leaves,
        "learning_rate": own.learning_rate,
        "min_data_in_leaf": min(own.min_rows, max(5, len(z) // 20)),
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }
    weight = np.exp(-np.clip(z, -MOST_LOG, MOST_LOG))
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, z, weight=weight), own.trees)
    text: str = booster.model_to_string(importance_type="gain")
    return text


def _of_few(target: str, state: Array, seconds: Array) -> LatencyModel:
    """Physics alone: trees would repeat a short record and not go on from it."""
    physics = fit_few(target, state, seconds)
    fitted = physics.physics
    prefill = fitted if isinstance(fitted, Prefill) else UNKNOWN
    decode = fitted if isinstance(fitted, Decode) else None
    saved = SavedLatency(target, has_history(state), prefill, decode, "", (), (1.0,), (0.0,), len(seconds))
    # One size for all: so few errors have no pattern.
    return _calibrated(saved, np.ones(len(physics.errors)), physics.errors)


def _calibrated(saved: SavedLatency, expected: Array, error: Array) -> LatencyModel:
    """With sizes of error by the expected time, and the residuals of rows held out."""
    bins = min(SIZE_BINS, max(1, len(error) // 40))
    edges = np.unique(np.quantile(expected, np.arange(1, bins) / bins))
    where = edges.searchsorted(expected)
    overall = max(float(np.abs(error).mean()), LEAST_SIZE)
    sizes = [
        max(float(np.abs(error[where == bin_]).mean()), LEAST_SIZE) if (where == bin_).any() else overall
        for bin_ in range(len(edges) + 1)
    ]
    residuals = error / np.asarray(sizes)[where]
    return LatencyModel(
        msgspec.structs.replace(
            saved,
            edges=tuple(edges.tolist()),
            sizes=tuple(sizes),
            residuals=tuple(residuals[-1000:].tolist()),
        )
    )
