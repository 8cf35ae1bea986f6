"""The window: rare regimes outlast the newest traffic, and nothing learns from what is held out."""

import numpy as np
import pytest

from foretell.features.request import COLUMN, STATE
from foretell.training.learner import Learner
from foretell.training.window import Window


def rows(count, waiting=0.0, marks=0.0):
    state = np.zeros((count, len(STATE)))
    state[:, COLUMN["waiting"]] = waiting
    state[:, COLUMN["input_tokens"]] = marks
    return state, np.full(count, 0.1), np.full(count, 0.02)


def test_a_rare_regime_outlasts_new_traffic():
    window = Window(rows=1000)
    window.add(*rows(50, waiting=20.0))
    window.add(*rows(30_000))
    kept = window.rows()
    assert np.sum(kept.state[~kept.held_out, COLUMN["waiting"]] == 20.0) == 45


def test_of_a_large_stratum_the_latest_stay_in_order_and_within_the_bound():
    window = Window(rows=500)
    window.add(*rows(3000, marks=np.arange(3000)))
    kept = window.rows()
    learnt = kept.state[~kept.held_out, COLUMN["input_tokens"]]
    assert len(learnt) == 500
    assert (np.diff(kept.state[:, COLUMN["input_tokens"]]) > 0).all()
    assert learnt[-1] == 2998  # the very last was held out


def test_each_tenth_is_held_out_and_can_be_forgotten_apart():
    window = Window()
    window.add(*rows(1000))
    assert window.held_out() == 100
    assert window.forget(learnt=False, held_out=True) == (0, 100)
    assert sum(window.counts().values()) == 900


def test_a_worse_model_does_not_answer():
    rng = np.random.default_rng(0)
    learner = Learner()
    state, _, tpot = rows(2000, marks=rng.uniform(10, 5000, 2000))
    learner.add(state, 0.01 + 1e-4 * state[:, 0], tpot)
    first = {refit.target: refit for refit in learner.refit()}
    assert all(refit.accepted for refit in first.values())
    # Nonsense to learn from, while what is held out stays as it was: what is fitted to it is worse.
    kept = learner.window.rows()
    nonsense = np.where(kept.held_out, kept.ttft_s, rng.permutation(kept.ttft_s))
    second = {refit.target: refit for refit in learner.refit(kept._replace(ttft_s=nonsense))}
    assert not second["ttft"].accepted
    assert learner.models["ttft"] is first["ttft"].model


def test_nothing_is_fitted_to_a_handful():
    learner = Learner()
    learner.add(*rows(20))
    assert learner.refit() == []


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_requests_without_a_second_token_still_teach_the_first(missing):
    learner = Learner()
    state, ttft, _ = rows(500, marks=np.arange(500.0))
    learner.add(state, ttft, np.full(500, missing))
    assert [refit.target for refit in learner.refit()] == ["ttft"]
