"""`foretell predict forward`: the same as in process, for a person and for a machine."""

import json

import msgspec
import pytest

from foretell.serving.forward import Forward

pytestmark = pytest.mark.usefixtures("workspace")

CONFIG = {
    "model_type": "llama", "hidden_size": 512, "intermediate_size": 1024, "num_hidden_layers": 4,
    "num_attention_heads": 8, "vocab_size": 1000, "torch_dtype": "bfloat16",
}  # fmt: skip


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


def words(config, **changes):
    asked = {"model": config, "device": "h100", "batch": 8, "tokens": 64, "tp": 2} | changes
    return ["predict", "forward", *(word for name, value in asked.items() for word in (f"--{name}", value))]


def test_a_machine_gets_what_a_caller_in_process_gets(foretell, config):
    found = Forward().predict(config, device="h100", batch=8, tokens=64, tp=2)
    assert foretell(*words(config), "--json").json == json.loads(msgspec.json.encode(found))


def test_a_person_is_told_operators_totals_memory_and_what_is_left_out(foretell, config):
    out = foretell(*words(config)).out
    for said in (
        "qkv projection",
        "90 % from ms",
        "energy: not known",
        "fits its 80 GB",
        "left out: launch gaps",
    ):
        assert said in out


def test_decode_has_its_options(foretell, config):
    ended = foretell(*words(config, phase="decode", tokens=1, past=100, dtype="float16"), "--json")
    assert {each["query"]["dtype"] for each in ended.json["operators"]} == {"float16"}


WRONG = {
    "heads": ({"tp": 3}, "tp: got 3, expected a divisor of the 8 heads"),
    "device": ({"device": "abacus"}, "device: got 'abacus'"),
    "phase": ({"phase": "training"}, "phase: got 'training', expected one of decode, prefill"),
    "decode": ({"phase": "decode", "past": 5}, "tokens: got 64, expected 1 in decode"),
    "file": ({"model": "nowhere.json"}, "model: got 'nowhere.json', expected a readable config.json"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_by_name(refused, config, changes, message):
    refused(*words(config, **changes), message=message)


@pytest.mark.parametrize("changes", [{"tokens": "many"}, {"colour": "red"}])
def test_what_is_no_option_is_refused(misused, config, changes):
    misused(*words(config, **changes), message=f"--{next(iter(changes))}")


def test_it_is_among_the_targets(foretell):
    assert "forward" in foretell("predict", "--help").out
