"""What is known of a server's past at an arrival."""

import numpy as np
import pytest

from foretell.errors import InputError
from foretell.features.arrivals import LEAST_WINDOW_S, LONG_AGO_S, RATE_WINDOW_S, history_of
from foretell.features.request import COLUMNS, STATE, has_history, state_of


@pytest.fixture
def stream():
    rng = np.random.default_rng(0)
    arrived = np.cumsum(rng.exponential(30.0, 200))
    return arrived, rng.integers(1, 900, 200) * 1.0, rng.integers(0, 900, 200) * 1.0, arrived + 5.0


def slow_history(arrived, tokens, prefill, events):
    """The same by a plain loop that looks at nothing from after the arrival."""
    for row, now in enumerate(arrived):
        known = [time for time in events if time <= now]
        before = [(then, each) for then, each in zip(arrived[:row], tokens[:row], strict=True)]
        recent = sum(each for then, each in before if then >= now - RATE_WINDOW_S)
        window = max(min(now - arrived[0], RATE_WINDOW_S), LEAST_WINDOW_S)
        yield (
            min(now - max(known), LONG_AGO_S) if known else LONG_AGO_S,
            min(now - arrived[row - 1], LONG_AGO_S) if row else LONG_AGO_S,
            prefill[row - 1] + tokens[row - 1] - prefill[row] if row else 0.0,
            recent / window,
        )


def test_history_equals_a_loop_over_what_was_known(stream):
    fast = np.column_stack(list(history_of(*stream).values()))
    np.testing.assert_allclose(fast, list(slow_history(*stream)), rtol=1e-9)  # sums in another order


def test_history_does_not_depend_on_what_comes_after(stream):
    arrived, tokens, prefill, events = stream
    half = history_of(arrived[:100], tokens[:100], prefill[:100], events)
    for name, values in history_of(arrived, tokens, prefill, events).items():
        np.testing.assert_array_equal(values[:100], half[name])


def test_columns_that_are_missing_are_zero_and_history_comes_whole():
    state = state_of({"input_tokens": np.array([7.0])})
    assert state.tolist() == [[7.0] + [0.0] * (len(STATE) - 1)]
    assert not has_history(state)
    with pytest.raises(InputError, match="history"):
        state_of({"input_tokens": np.ones(1), "tokens_per_s": np.ones(1)})
    with pytest.raises(InputError, match="output_tokens"):
        state_of({"output_tokens": np.ones(1)})
    assert len(set(COLUMNS)) == len(COLUMNS)
