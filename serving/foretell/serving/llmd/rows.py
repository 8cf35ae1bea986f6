"""Requests of the protocol as the numbers that models take."""

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Final

import numpy as np

from foretell.features.base import Array
from foretell.features.request import COLUMN, STATE
from foretell.serving.llmd.messages import Entry, Request

ROLES: Final = {"prefill": 1.0, "decode": 2.0}
FIELDS: Final = {
    "kv_cache_percentage": "kv_fraction",
    "input_token_length": "input_tokens",
    "num_request_waiting": "waiting",
    "num_request_running": "running",
    "num_tokens_generated": "generated_tokens",
    "prefix_cache_score": "prefix_hit",
    "prefill_tokens_in_flight": "prefill_tokens",
    "decode_tokens_in_flight": "decode_tokens",
    "encoder_input_size": "encoder_tokens",
    "encoder_matched_size": "role",
}
"""The protocol's fields and the columns that they fill; the last is taken off the encoder's input first."""
OUTCOMES: Final = ("ttft_s", "tpot_s", "timestamp_s")
"""What a sample has beside `STATE`."""

_numbers: Final = attrgetter(*FIELDS)
_columns: Final = [COLUMN[name] for name in FIELDS.values()]
_role: Final = COLUMN["role"]
_encoder: Final = COLUMN["encoder_tokens"]


def state_of_requests(requests: Sequence[Request]) -> Array:
    """Shape (rows, len(STATE))."""
    flat = np.fromiter(
        chain.from_iterable(map(_numbers, requests)), np.float64, count=len(requests) * len(FIELDS)
    )
    state = np.empty((len(requests), len(STATE)))
    state[:, _columns] = flat.reshape(len(requests), len(FIELDS))
    state[:, COLUMN["decoding"]] = state[:, COLUMN["running"]]
    state[:, _encoder] = np.maximum(state[:, _encoder] - state[:, _role], 0.0)
    state[:, _role] = [ROLES.get(request.pod_type or "", 0.0) for request in requests]
    return state


def samples_of(entries: Sequence[Entry], now_s: float) -> Array:
    """State and `OUTCOMES` of finished requests, shape (rows, len(STATE) + 3); a time of 0 becomes NaN.

    Timestamps of the future, or none, become `now_s`: clocks disagree.
    """
    outcomes = np.array(
        [
            (
                entry.actual_ttft_ms / 1e3 or np.nan,
                entry.actual_tpot_ms / 1e3 or np.nan,
                min(entry.timestamp.timestamp(), now_s) if entry.timestamp else now_s,
            )
            for entry in entries
        ]
    )
    return np.hstack([state_of_requests(entries), outcomes])
