"""What is known of an LLM request when it arrives at a server: one row of numbers, in one order everywhere.

All rows have the columns `STATE`. Who watches one server's arrivals also knows `HISTORY`; a router that sees
snapshots of many servers does not.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np

from foretell.errors import InputError, one_of
from foretell.features.base import Array

STATE: Final = (
    "input_tokens",
    "prefix_hit",
    "encoder_tokens",
    "waiting",
    "running",
    "decoding",
    "kv_fraction",
    "prefill_tokens",
    "decode_tokens",
    "generated_tokens",
    "role",
)
"""Prompt, share of it in a cache, image tokens to encode, queue, batch, tokens in flight, kind of server."""
HISTORY: Final = ("since_event_s", "since_arrival_s", "served_tokens", "tokens_per_s")
"""Time since a request got its first or last token; since the last arrival, and prompt tokens served since;
prompt tokens that arrive."""
COLUMNS: Final = STATE + HISTORY
COLUMN: Final[Mapping[str, int]] = {name: number for number, name in enumerate(COLUMNS)}


def state_of(columns: Mapping[str, Array]) -> Array:
    """Rows of shape (rows, columns) from columns by name; without all of `HISTORY` only `STATE`.

    Columns of `STATE` that are missing are zero.

    Raises:
        InputError: a column that is none of these, or only part of the history.
    """
    for name in columns:
        if name not in COLUMN:
            raise InputError(name, "", one_of(COLUMNS))
    known = [name for name in HISTORY if name in columns]
    if known and len(known) < len(HISTORY):
        raise InputError("history", known, f"all of {', '.join(HISTORY)}")
    rows = len(next(iter(columns.values())))
    state = np.zeros((rows, len(COLUMNS) if known else len(STATE)))
    for name, values in columns.items():
        state[:, COLUMN[name]] = values
    return state


def has_history(state: Array) -> bool:
    """Whether rows know what happened before them at their server."""
    return bool(state.shape[1] == len(COLUMNS))


def column(state: Array, name: str) -> Array:
    """One column, shape (rows,)."""
    return state[:, COLUMN[name]]


def own_tokens(state: Array) -> Array:
    """Prompt tokens that the server has to read for this request: those that no cache holds."""
    return column(state, "input_tokens") * (1.0 - column(state, "prefix_hit")) + column(
        state, "encoder_tokens"
    )


def work_tokens(state: Array) -> Array:
    """Prompt tokens until this request's first token: its own, and those ahead of it."""
    return own_tokens(state) + column(state, "prefill_tokens")
