"""Models of request latency: what they learn, what they refuse, and that they survive being written down."""

import msgspec
import numpy as np
import pytest

from foretell.errors import ArtefactError, InputError
from foretell.features.request import state_of
from foretell.predictors.few import FEW
from foretell.predictors.latency import LatencyModel, SavedLatency, feature_names, prior


def traffic(rows, seed=0):
    """A queue whose prefix hits count half of what the physics thinks: something for the trees."""
    rng = np.random.default_rng(seed)
    state = state_of(
        {
            "input_tokens": rng.lognormal(6.0, 1.0, rows),
            "prefix_hit": rng.choice([0.0, 0.8], rows),
            "prefill_tokens": rng.integers(0, 5000, rows) * 1.0,
            "running": rng.integers(0, 50, rows) * 1.0,
            "decoding": rng.integers(0, 50, rows) * 1.0,
            "kv_fraction": rng.uniform(0, 1, rows),
        }
    )
    seconds = 0.02 + 7e-5 * (state[:, 0] * (1 - state[:, 1] / 2) + state[:, 7]) * (1.0 + state[:, 6])
    return state, seconds * np.exp(rng.normal(0.0, 0.05, rows))


def mape(model, state, seconds):
    return 100.0 * np.mean(np.abs(model.expect(state)[0] / seconds - 1.0))


@pytest.fixture(scope="module")
def model():
    return LatencyModel.fit("ttft", *traffic(3000))


def test_trees_learn_what_the_physics_misses(model):
    state, seconds = traffic(1000, seed=1)
    physics, _ = model.saved.prefill.expect(state)
    assert mape(model, state, seconds) < 0.5 * 100.0 * np.mean(np.abs(physics / seconds - 1.0))
    assert mape(model, state, seconds) < 8.0  # the noise alone makes 4


def test_residuals_are_multiples_of_the_size_of_error(model):
    state, seconds = traffic(1000, seed=2)
    assert np.mean(np.abs(model.residuals(state, seconds))) == pytest.approx(1.0, abs=0.3)


def test_a_model_that_was_written_down_answers_the_same(model):
    state, _ = traffic(200, seed=3)
    again = LatencyModel(msgspec.json.decode(msgspec.json.encode(model.saved), type=SavedLatency))
    np.testing.assert_array_equal(again.expect(state)[0], model.expect(state)[0])


def test_a_damaged_booster_is_refused(model):
    broken = msgspec.structs.replace(model.saved, booster=model.saved.booster[:1000])
    with pytest.raises(ArtefactError):
        LatencyModel(broken)


@pytest.mark.parametrize("target", ["ttft", "tpot"])
def test_features_have_names(target):
    fitted = LatencyModel.fit(target, *traffic(600))
    assert f"max_feature_idx={len(feature_names(fitted.saved)) - 1}\n" in fitted.saved.booster


def test_few_rows_are_left_to_the_physics():
    few = LatencyModel.fit("ttft", *traffic(FEW - 1))
    assert few.saved.booster == ""
    assert mape(few, *traffic(500, seed=4)) < 40.0  # what the physics misses of the prefix and of running


@pytest.mark.parametrize(
    ("rows", "value", "field"), [(10, 1.0, "rows"), (100, 0.0, "ttft_s"), (100, np.nan, "ttft_s")]
)
def test_too_few_rows_and_no_times_are_refused(rows, value, field):
    state, seconds = traffic(rows)
    with pytest.raises(InputError, match=field):
        LatencyModel.fit("ttft", state, seconds * value)


@pytest.mark.parametrize("target", ["ttft", "tpot"])
def test_the_prior_answers_for_anything(target):
    seconds, size = prior(target).expect(traffic(50)[0])
    assert np.isfinite(seconds).all()
    assert (seconds > 0).all()
    assert (size > 0.5).all()
