"""How an LLM server works off its queue: the physics that models of latency start from.

A server with chunked prefill (Agrawal et al., Sarathi-Serve, OSDI 2024) runs iterations of a fixed budget
of tokens: each running decode takes one, prompts the rest. The time to the first token is the number of
iterations that the work ahead takes times what each costs. The time per output token is an iteration of the
running decodes, stretched by the share of time that other requests' prompts take. Both are linear in the
work, so that they hold for loads that nobody has recorded; their costs are never negative, and fitted to
relative errors.
"""

from typing import Final, Self

import msgspec
import numpy as np

from foretell.features.base import Array
from foretell.features.request import column, has_history, own_tokens, work_tokens

BUDGETS: Final = (0, 128, 256, 384, 512, 768, 1024, 2048, 4096, 8192, 16384)
"""Tokens of one iteration that are tried; 0 stands for whole prompts at once."""
LOADS: Final = (0.0, *np.geomspace(1e-7, 3e-3, 60).tolist())
"""Seconds of prefill per prompt token that are tried."""
ROWS: Final = 4000
"""A dozen costs need no more rows."""
LEAST_SHARE: Final = 0.1
"""Least share of the time that is left for decoding."""
ROUNDS: Final = 5
"""Rounds of reweighting from squared to absolute errors."""
FLOOR_S: Final = 1e-5


class Prefill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time to the first token.

    Attributes:
        budget: tokens of one iteration.
        costs: seconds per term.
    """

    budget: int
    costs: tuple[float, ...]

    @classmethod
    def fit(cls, state: Array, seconds: Array, power: float = 1.0) -> Self:
        """The budget and the costs that err least; see `costs_of` for `power`."""
        fitted = [(budget, *costs_of(terms_of(state, budget)[0], seconds, power)) for budget in BUDGETS]
        budget, costs, _ = min(fitted, key=lambda found: found[2])
        return cls(budget, tuple(costs.tolist()))

    def times(self, factor: float) -> Self:
        """The same server, so many times slower."""
        return type(self)(self.budget, tuple(cost * factor for cost in self.costs))

    def expect(self, state: Array) -> tuple[Array, Array]:
        """Seconds and iterations to the first token, each of shape (rows,)."""
        terms, iterations = terms_of(state, self.budget)
        return np.maximum(terms @ np.asarray(self.costs), FLOOR_S), iterations


def terms_of(state: Array, budget: int) -> tuple[Array, Array]:
    """What the time to the first token is a sum of, shape (rows, 7), and the iterations, shape (rows,)."""
    work = work_tokens(state)
    decode = column(state, "decode_tokens")
    decoding = column(state, "decoding")
    room = np.maximum(budget - decoding, 1.0)
    iterations = np.maximum(np.ceil(work / room), 1.0) if budget else np.ones(len(state))
    terms = np.empty((len(state), 7))
    terms[:, 0] = iterations
    terms[:, 1] = iterations * decoding
    terms[:, 2] = iterations * decode
    terms[:, 3] = work
    terms[:, 4] = own_tokens(state) * work
    terms[:, 5] = column(state, "waiting")
    terms[:, 6] = 1.0
    return terms, iterations


class Decode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Time per output token.

    Attributes:
        load_s: seconds of prefill per prompt token that arrives.
        costs: seconds per term.
    """

    load_s: float
    costs: tuple[float, ...]

    @classmethod
    def fit(cls, state: Array, seconds: Array, power: float = 1.0) -> Self:
        """The load and the costs that err least; see `costs_of` for `power`."""
        loads = LOADS if has_history(state) else (0.0,)
        terms = _decode_terms(state)
        fitted = [(load, *costs_of(terms / _left(state, load)[:, None], seconds, power)) for load in loads]
        load_s, costs, _ = min(fitted, key=lambda found: found[2])
        return cls(load_s, tuple(costs.tolist()))

    def times(self, factor: float) -> Self:
        """The same server, so many times slower."""
        return type(self)(self.load_s, tuple(cost * factor for cost in self.costs))

    def expect(self, state: Array) -> Array:
        """Seconds per output token, shape (rows,)."""
        seconds = _decode_terms(state) @ np.asarray(self.costs)
        return np.asarray(np.maximum(seconds / _left(state, self.load_s), FLOOR_S))


def _decode_terms(state: Array) -> Array:
    terms = np.empty((len(state), 4))
    terms[:, 0] = 1.0
    terms[:, 1] = column(state, "decoding")
    terms[:, 2] = column(state, "decode_tokens")
    terms[:, 3] = column(state, "waiting") > 0.0
    return terms


def _left(state: Array, load_s: float) -> Array:
    """Share of the time that prompts which arrive leave to decoding."""
    if not load_s:
        return np.ones(len(state))
    return np.maximum(1.0 - load_s * column(state, "tokens_per_s"), LEAST_SHARE)


def costs_of(terms: Array, seconds: Array, power: float = 1.0) -> tuple[Array, float]:
    """Costs ≥ 0 with the least absolute error over seconds ** power, and that error.

    Relative errors (power 1) suit requests that come again; absolute ones (0) a queue that still grows.
    """
    from scipy.optimize import nnls  # noqa: PLC0415  (only fitting needs it)

    few = np.random.default_rng(0).permutation(len(seconds))[:ROWS]
    wanted = seconds[few] ** (1.0 - power)
    scaled = terms[few] / seconds[few, None] ** power
    scale = np.abs(scaled).mean(axis=0) + 1e-12
    weight = np.ones(len(few))
    costs = np.zeros(terms.shape[1])
    for _ in range(ROUNDS):
        found, _ = nnls(scaled / scale * weight[:, None], wanted * weight)
        costs = found / scale
        # Errors under 1 % count as that: a perfect row must not rule the rest.
        weight = np.maximum(np.abs(scaled @ costs - wanted), 0.01 * wanted.mean()) ** -0.5
    return costs, float(np.mean(np.abs(scaled @ costs - wanted)))
