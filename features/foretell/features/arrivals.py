"""What the arrivals and tokens seen so far at one server say about the next request.

Everything comes from before the arrival: earlier arrivals, and tokens that have reached a client.
"""

from typing import Final

import numpy as np

from foretell.features.base import Array

RATE_WINDOW_S: Final = 1800.0
"""Over so long the rate of arriving tokens is a mean; shorter windows forecast worse at random arrivals."""
LEAST_WINDOW_S: Final = 2.0
"""A rate over less says nothing."""
LONG_AGO_S: Final = 10.0
"""Stands for no event, or none in that time."""


def history_of(
    arrived_s: Array, input_tokens: Array, prefill_tokens: Array, events_s: Array
) -> dict[str, Array]:
    """Columns `foretell.features.request.HISTORY` of requests in order of arrival.

    Args:
        arrived_s: when each arrived, increasing, shape (rows,).
        input_tokens: its prompt, shape (rows,).
        prefill_tokens: prompt tokens in flight that it found, shape (rows,).
        events_s: when a request got its first or its last token, in any order, shape (events,).
    """
    events = np.sort(events_s)
    before = events.searchsorted(arrived_s, side="right")
    since_event = arrived_s - np.concatenate([[-np.inf], events])[before]
    since_arrival = np.diff(arrived_s, prepend=-np.inf)
    in_flight = (prefill_tokens + input_tokens)[:-1]
    return {
        "since_event_s": np.minimum(since_event, LONG_AGO_S),
        "since_arrival_s": np.minimum(since_arrival, LONG_AGO_S),
        "served_tokens": np.concatenate([[0.0], in_flight])[: len(arrived_s)] - _or_zero(prefill_tokens),
        "tokens_per_s": _rate(arrived_s, input_tokens),
    }


def _or_zero(prefill_tokens: Array) -> Array:
    """The same, but nothing has been served before the first request."""
    found = prefill_tokens.copy()
    found[:1] = 0.0
    return found


def _rate(arrived_s: Array, tokens: Array) -> Array:
    total = np.concatenate([[0.0], np.cumsum(tokens)])
    rows = np.arange(len(arrived_s))
    first = arrived_s.searchsorted(arrived_s - RATE_WINDOW_S)
    window_s = np.minimum(arrived_s - arrived_s[:1], RATE_WINDOW_S)
    return np.asarray((total[rows] - total[first]) / np.maximum(window_s, LEAST_WINDOW_S))
