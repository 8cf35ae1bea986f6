"""The physics of a queue: what it can express it finds again, and it goes on beyond what was recorded."""

import numpy as np
import pytest

from foretell.features.queueing import Decode, Prefill
from foretell.features.request import state_of


def states(rng, rows, most_tokens):
    return state_of(
        {
            "input_tokens": rng.integers(1, most_tokens, rows) * 1.0,
            "prefill_tokens": rng.integers(0, 4 * most_tokens, rows) * 1.0,
            "decoding": rng.integers(0, 60, rows) * 1.0,
            "decode_tokens": rng.integers(0, 60_000, rows) * 1.0,
            "since_event_s": np.zeros(rows),
            "since_arrival_s": np.zeros(rows),
            "served_tokens": np.zeros(rows),
            "tokens_per_s": rng.uniform(0, 9000, rows),
        }
    )


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_server_of_that_physics_is_found_again_at_ten_times_the_work(power):
    rng = np.random.default_rng(0)
    truth = Prefill(512, (0.03, 1e-4, 1e-7, 2e-5, 0.0, 0.0, 0.01))
    state, later = states(rng, 800, 1000), states(rng, 200, 10_000)
    found = Prefill.fit(state, truth.expect(state)[0], power)
    assert found.budget == truth.budget
    # Costs trade off against each other a little within the tolerance of the reweighting.
    np.testing.assert_allclose(found.expect(later)[0], truth.expect(later)[0], rtol=0.03)


def test_prompts_that_arrive_slow_down_decoding():
    rng = np.random.default_rng(1)
    truth = Decode(7e-5, (0.011, 0.0, 1e-7, 0.0))
    state = states(rng, 800, 1000)
    found = Decode.fit(state, truth.expect(state))
    # The load is one of a grid whose steps are a fifth.
    np.testing.assert_allclose(found.expect(state), truth.expect(state), rtol=0.1)


def test_costs_are_never_negative():
    rng = np.random.default_rng(2)
    state = states(rng, 300, 1000)
    found = Prefill.fit(state, 1.0 / (1.0 + state[:, 0]))
    assert min(found.costs) >= 0.0
