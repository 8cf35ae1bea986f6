"""Forward passes with one registered model: what is summed, what is guessed, and what is said of it."""

import dataclasses
import json

import msgspec
import numpy as np
import pytest

import foretell
from foretell.datasets.transformer.config import transformer
from foretell.errors import InputError
from foretell.serving.forward import LEFT_OUT, Forward

pytestmark = pytest.mark.usefixtures("workspace")

CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 2048,
    "intermediate_size": 5632, "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4,
    "vocab_size": 32000, "torch_dtype": "bfloat16",
}  # fmt: skip
STEP = {"device": "h100", "batch": 2, "tokens": 128}


@pytest.fixture(scope="module")
def ask():
    """Passes of one model, whose champions are looked up once."""
    forward = Forward()
    return lambda config=CONFIG, **changes: forward.predict(config, **STEP | changes)


def test_the_pass_is_the_sum_of_its_operators(ask):
    found = ask()
    low, middle, high = found.latency_us
    # Medians are added as they are; only rounding differs.
    assert middle == pytest.approx(sum(each.count * each.call_us[1] for each in found.operators))
    assert middle == pytest.approx(sum(each[1] for each in found.latency_by_operator_us.values()))
    assert sum(each.share for each in found.operators) == pytest.approx(1.0)
    assert 0 < low < middle < high


def test_the_interval_is_wider_than_of_independent_errors_and_narrower_than_of_equal_ones(ask):
    found = ask()
    departures = np.array([each.latency_us[2] - each.latency_us[1] for each in found.operators])
    reach = found.latency_us[2] - found.latency_us[1]
    assert np.sqrt((departures**2).sum()) < reach < departures.sum()


def test_an_operator_with_a_model_is_answered_as_the_model_answers(ask):
    each = next(each for each in ask().operators if each.name == "qkv projection")
    query = {"m": 256, "n": (32 + 2 * 4) * 64, "k": 2048, "dtype": "bfloat16", "device": "h100"}
    assert each.call_us == pytest.approx(foretell.Foretell("gemm.latency").predict(query).values[0])
    assert each.model == "gemm.latency version 1"
    assert each.count == 22


def test_an_operator_without_a_model_is_its_roofline_and_said_to_be(ask):
    found = ask()
    (attention,) = [each for each in found.operators if each.operator == "attention"]
    assert (attention.model, attention.outside) == ("roofline", True)
    assert attention.call_us[2] / attention.call_us[1] == pytest.approx(6.0)
    assert any("`foretell train attention.latency` makes one" in note for note in found.notes)
    assert not any("foretell train gemm.latency" in note for note in found.notes)


def test_devices_share_the_work_and_talk(ask):
    one, two = ask(), ask(tp=2)
    assert "collective" in two.latency_by_operator_us.keys() - one.latency_by_operator_us.keys()
    assert two.latency_by_operator_us["gemm"][1] < one.latency_by_operator_us["gemm"][1]


def test_decode_reads_the_cache(ask):
    few, many = (ask(phase="decode", tokens=1, past=past) for past in (100, 20_000))
    assert few.latency_by_operator_us["attention"][1] < many.latency_by_operator_us["attention"][1]
    assert few.latency_by_operator_us["gemm"] == many.latency_by_operator_us["gemm"]
    assert few.memory.cache_bytes < many.memory.cache_bytes


def test_memory_says_whether_it_fits(ask):
    assert ask().fits
    assert not ask(batch=64, phase="decode", tokens=1, past=120_000).fits
    assert ask().memory_device_bytes == 80e9


def test_energy_that_no_model_knows_is_null_with_the_reason(ask):
    found = ask()
    assert found.energy_mj is None
    assert "cover 0% of the time" in found.energy_reason


def test_a_backend_that_was_not_measured_is_answered_over_all(ask):
    found, over_all = ask(backend="madeup", backend_version="1.0"), ask()
    assert any("not measured with this backend, so answered over all: gemm" in note for note in found.notes)
    projections = [next(each for each in of.operators if each.count == 22) for of in (found, over_all)]
    assert projections[0].call_us == projections[1].call_us


def test_a_device_that_was_never_measured_widens_the_pass(ask):
    seen, unseen = ask(), ask(device="mi300x")
    assert unseen.latency_us[2] / unseen.latency_us[1] > seen.latency_us[2] / seen.latency_us[1]
    assert any("outside of what the models have seen" in note for note in unseen.notes)


def test_what_is_left_out_is_said(ask):
    assert ask().left_out == LEFT_OUT
    assert any("launch gaps" in each for each in LEFT_OUT)


def test_a_path_its_content_and_what_was_read_are_one_model(ask, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    assert ask(path) == ask(str(path)) == ask(transformer(CONFIG)) == ask()


def test_other_levels_hold_the_usual_ones(ask):
    found = ask(levels=(0.05, 0.25, 0.5, 0.75, 0.95))
    assert np.all(np.diff(found.latency_us) > 0)
    assert found.latency_us[::2] == pytest.approx(ask().latency_us)


def test_it_can_be_written_as_json(ask):
    written = json.loads(msgspec.json.encode(ask()))
    assert written["operators"][0]["query"]["device"] == "h100"


def test_it_is_public():
    assert foretell.Forward is Forward


WRONG = {
    "no device": ({"device": "abacus"}, "device: got 'abacus'"),
    "no batch": ({"batch": 0}, "batch: got 0, expected an integer from 1"),
    "a negative past": ({"past": -1}, "past: got -1, expected an integer from 0"),
    "an odd phase": ({"phase": "training"}, "phase: got 'training', expected one of decode, prefill"),
    "an odd type": ({"dtype": "float128"}, "dtype: got 'float128'"),
    "heads": ({"tp": 3}, "tp: got 3, expected a divisor of the 32 heads"),
    "an unknown field": ({"colour": "red"}, "colour: got 'red', expected only the fields device, batch"),
    "half a backend": ({"backend": "vllm"}, "backend_version: got None"),
    "no median": ({"levels": (0.1, 0.9)}, "levels: got [0.1, 0.9], expected the median"),
    "no floats": ({"tokens": 1.5}, "tokens: got 1.5"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_by_name(ask, changes, message):
    with pytest.raises(InputError) as refusal:
        ask(**changes)
    assert message in str(refusal.value)


@pytest.mark.parametrize("config", [[1, 2], 7, None])
def test_what_is_no_model_is_refused(ask, config):
    with pytest.raises(InputError, match="model: got"):
        ask(config)


WATTS = 400.0


class Metered:
    """A model of energy beside that of latency: every product draws the same power."""

    target, version = "gemm.energy", "7"

    def __init__(self):
        self.latency = foretell.Foretell("gemm.latency")

    def predict(self, row, levels):
        answer = self.latency.predict(row, levels)
        values_mj = answer.values * WATTS / 1e3
        return dataclasses.replace(answer, target=self.target, unit="mJ", values=values_mj)


@pytest.fixture
def metered():
    """Passes with that model of energy; most of their time is spent on products."""
    forward = Forward()
    forward._models["gemm.energy"] = Metered()
    return lambda **changes: forward.predict(CONFIG, **STEP | {"tokens": 1024} | changes)


def test_energy_is_power_times_time_where_all_operators_draw_the_same(metered):
    found = metered()
    assert found.latency_by_operator_us["gemm"][1] > 0.5 * found.latency_us[1]
    # mJ = W us / 1000; medians are added as they are, so that only rounding differs.
    assert found.energy_mj[1] == pytest.approx(found.latency_us[1] * WATTS / 1e3)
    assert found.energy_mj[0] < found.energy_mj[1] < found.energy_mj[2]
    assert "attention" in found.energy_reason
    assert "taken to draw the others' mean power" in found.energy_reason


def test_energy_is_that_of_all_devices(metered, monkeypatch):
    # Talking takes most of the time of so small a model, and nothing knows its energy.
    monkeypatch.setattr("foretell.serving.forward.LEAST_COVERED", 0.1)
    shared = metered(tp=2)
    assert shared.energy_mj[1] == pytest.approx(2 * shared.latency_us[1] * WATTS / 1e3)


def test_energy_of_the_lesser_part_of_the_time_is_not_taken_for_the_whole(metered):
    found = metered(phase="decode", tokens=1, past=100_000, batch=8)
    assert found.latency_by_operator_us["gemm"][1] < 0.5 * found.latency_us[1]
    assert found.energy_mj is None
    assert "% of the time" in found.energy_reason
