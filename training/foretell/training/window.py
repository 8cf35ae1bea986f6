"""A bounded window over finished requests in which rare regimes outlast the newest traffic.

Rows are kept by stratum (length of the queue, use of the KV cache, prefix hits), the latest of each, and each
tenth row goes to a window of its own, from which nothing ever learns.
"""

from collections import deque
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array
from foretell.features.request import column

QUEUE_EDGES: Final = (1.0, 3.0, 6.0, 11.0)
KV_STEP: Final = 0.1
PREFIX_STEP: Final = 0.25
STRATUM_ROWS: Final = 5_000
HELD_OUT: Final = 10
"""Each so-many-th row is held out."""


class Finished(NamedTuple):
    """Finished requests, oldest first.

    Attributes:
        state: shape (rows, columns).
        ttft_s: shape (rows,).
        tpot_s: shape (rows,); NaN where no second token came.
        held_out: shape (rows,), boolean.
    """

    state: Array
    ttft_s: Array
    tpot_s: Array
    held_out: npt.NDArray[np.bool_]


def strata_of(state: Array) -> npt.NDArray[np.int64]:
    """Number of each row's stratum, shape (rows,): by queue, tenth of the KV cache, quarter of the prefix."""
    queue = np.searchsorted(QUEUE_EDGES, column(state, "waiting"), side="right")
    kv = np.minimum(column(state, "kv_fraction") / KV_STEP + 1e-9, 9).astype(np.int64)
    prefix = np.minimum(column(state, "prefix_hit") / PREFIX_STEP + 1e-9, 4).astype(np.int64)
    return np.asarray((queue * 10 + kv) * 5 + prefix, dtype=np.int64)


class Window:
    """The rows that a model learns from and is judged by.

    Args:
        rows: most rows that `rows` gives.
        held_out: latest held-out rows that are kept.
    """

    def __init__(self, rows: int = 20_000, held_out: int = 2_000) -> None:
        self._most = rows
        self._strata: dict[int, deque[tuple[int, Array]]] = {}
        self._held_out: deque[tuple[int, Array]] = deque(maxlen=held_out)
        self._seen = 0

    def add(self, state: Array, ttft_s: Array, tpot_s: Array) -> None:
        """Take finished requests, oldest first."""
        table = np.column_stack([state, ttft_s, tpot_s])
        for stratum, row in zip(strata_of(state).tolist(), table, strict=True):
            self._seen += 1
            if self._seen % HELD_OUT == 0:
                self._held_out.append((self._seen, row))
            else:
                self._strata.setdefault(stratum, deque(maxlen=STRATUM_ROWS)).append((self._seen, row))

    def counts(self) -> dict[int, int]:
        """Rows to learn from by stratum."""
        return {stratum: len(rows) for stratum, rows in sorted(self._strata.items())}

    def held_out(self) -> int:
        """Rows held out."""
        return len(self._held_out)

    def rows(self) -> Finished:
        """Rows to learn from and rows held out, oldest first: of large strata the latest."""
        share = self._share()
        learnt = [row for rows in self._strata.values() for row in list(rows)[-share:]]
        together = sorted([*learnt, *self._held_out], key=lambda numbered: numbered[0])
        out = {number for number, _ in self._held_out}
        table = np.array([row for _, row in together])
        held = np.array([number in out for number, _ in together], dtype=np.bool_)
        return Finished(table[:, :-2], table[:, -2], table[:, -1], held)

    def forget(self, *, learnt: bool, held_out: bool) -> tuple[int, int]:
        """Drop rows to learn from, rows held out, or both; says how many of each."""
        counts = sum(self.counts().values()) if learnt else 0, len(self._held_out) if held_out else 0
        if learnt:
            self._strata.clear()
        if held_out:
            self._held_out.clear()
        return counts

    def _share(self) -> int:
        """Most rows of a stratum for which all strata together stay within the bound."""
        sizes = sorted(len(rows) for rows in self._strata.values())
        left = self._most
        for number, size in enumerate(sizes):
            fair = left // (len(sizes) - number)
            if size > fair:
                return max(fair, 1)
            left -= size
        return self._most
