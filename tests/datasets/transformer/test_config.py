"""Reading a ``config.json``: published models come out as they are; what does not fit is refused by name."""

import json

import pytest

from foretell.datasets.transformer.config import MAX_BYTES, read_config, transformer
from foretell.datasets.transformer.parameters import parameters
from foretell.errors import InputError


def test_it_has_as_many_parameters_as_was_published(name, model, published):
    assert parameters(model).total == published[name]


def test_a_token_goes_through_the_experts_that_it_was_dealt(read):
    held = parameters(read("mixtral-8x7b"))
    assert held.active_experts * 4 == held.experts  # 2 of 8


def windows(model):
    return [layer.window for layer in model.layers]


def test_windows_are_where_the_family_has_them(read):
    assert set(windows(read("mistral-7b"))) == {4096}
    assert windows(read("gemma-2-9b"))[:4] == [4096, 0, 4096, 0]
    assert set(windows(read("qwen2.5-7b"))) == {0}
    late = read("qwen2.5-7b", use_sliding_window=True, max_window_layers=20, sliding_window=4096)
    assert windows(late) == [0] * 20 + [4096] * 8


def test_listed_kinds_of_layers_come_first(read):
    listed = ["full_attention"] * 21 + ["sliding_attention"] * 21
    assert windows(read("gemma-2-9b", layer_types=listed)) == [0] * 21 + [4096] * 21


def test_dense_layers_between_mixtures_are_told_apart(read):
    model = read("qwen3-30b-a3b", decoder_sparse_step=2, mlp_only_layers=[1, 3])
    sparse = [hasattr(layer.feed_forward, "experts") for layer in model.layers]
    assert sparse == [number % 2 == 1 and number not in (1, 3) for number in range(48)]


def test_what_the_file_leaves_out_is_what_the_family_takes_for_granted(read):
    assert read("llama-3-8b", num_key_value_heads=...).attention.kv_heads == 32
    assert read("gpt2").layers[0].feed_forward.inter == 4 * 768
    assert read("falcon-7b").attention.kv_heads == 1
    assert read("falcon-40b").attention.kv_heads == 8
    assert not read("llama-3-8b", tie_word_embeddings=...).tied
    assert read("gemma-2b", tie_word_embeddings=...).tied


def test_fields_without_a_say_in_shapes_are_passed_over(read):
    assert read("llama-3-8b", rope_theta=5e5, auto_map={"x": [None]}) == read("llama-3-8b")


WRONG = {
    "negative layers": (
        "llama-3-8b",
        {"num_hidden_layers": -1},
        "num_hidden_layers: got -1, expected an integer",
    ),
    "zero heads": ("llama-3-8b", {"num_attention_heads": 0}, "num_attention_heads: got 0, "),
    "a fraction": ("llama-3-8b", {"hidden_size": 4096.5}, "hidden_size: got 4096.5, expected an integer"),
    "NaN": ("llama-3-8b", {"hidden_size": float("nan")}, "hidden_size: got nan, expected an integer"),
    "text": ("llama-3-8b", {"vocab_size": "128256"}, "vocab_size: got '128256', expected an integer"),
    "true": ("llama-3-8b", {"vocab_size": True}, "vocab_size: got True, expected an integer"),
    "absurd": ("llama-3-8b", {"vocab_size": 10**12}, "vocab_size: got 1000000000000, expected an integer"),
    "absurdly deep": (
        "llama-3-8b",
        {"num_hidden_layers": 10**6},
        "num_hidden_layers: got 1000000, expected at most",
    ),
    "no hidden size": ("llama-3-8b", {"hidden_size": ...}, "hidden_size: got None, expected an integer"),
    "no width": ("mistral-7b", {"intermediate_size": ...}, "intermediate_size: got None"),
    "its own names": ("gpt2", {"n_embd": ...}, "n_embd: got None"),
    "no family": ("llama-3-8b", {"model_type": ...}, "model_type: got None, expected one of falcon, "),
    "unknown family": (
        "llama-3-8b",
        {"model_type": "mamba"},
        "model_type: got 'mamba', expected one of falcon, ",
    ),
    "a family of odd type": ("llama-3-8b", {"model_type": ["llama"]}, "model_type: got ['llama']"),
    "another class": (
        "llama-3-8b",
        {"architectures": ["LlamaModel"]},
        "architectures: got ['LlamaModel'], expected ['LlamaForCausalLM']",
    ),
    "heads that do not divide": (
        "llama-3.1-70b",
        {"num_attention_heads": 60, "num_key_value_heads": 4},
        "num_attention_heads: got 60, expected a divisor of hidden_size 8192, or a head_dim",
    ),
    "kv heads that do not divide": (
        "llama-3-8b",
        {"num_key_value_heads": 5},
        "num_key_value_heads: got 5, expected a divisor of the 32",
    ),
    "more kv heads": ("llama-3-8b", {"num_key_value_heads": 64}, "num_key_value_heads: got 64"),
    "a family that must say it": ("gemma-2-9b", {"head_dim": ...}, "head_dim: got None"),
    "top-k above experts": (
        "mixtral-8x7b",
        {"num_experts_per_tok": 9},
        "num_experts_per_tok: got 9, expected at most the 8 experts of num_local_experts",
    ),
    "no top-k": ("qwen3-30b-a3b", {"num_experts_per_tok": ...}, "num_experts_per_tok: got None"),
    "negative window": ("mistral-7b", {"sliding_window": -4096}, "sliding_window: got -4096"),
    "too few kinds of layers": (
        "gemma-2-9b",
        {"layer_types": ["full_attention"]},
        "layer_types: got '1 layers'",
    ),
    "unknown kind of layer": (
        "gemma-2-9b",
        {"layer_types": ["linear_attention"] * 42},
        "layer_types[0]: got 'linear_attention'",
    ),
    "unknown activation": (
        "llama-3-8b",
        {"hidden_act": "mish"},
        "hidden_act: got 'mish', expected one of gelu, ",
    ),
    "unknown data type": ("llama-3-8b", {"torch_dtype": "float8"}, "torch_dtype: got 'float8'"),
    "a flag that is none": (
        "llama-3-8b",
        {"attention_bias": "no"},
        "attention_bias: got 'no', expected true or false",
    ),
    "odd quantisation": ("llama-3-8b", {"quantization_config": "fp8"}, "quantization_config: got 'fp8'"),
    "projected embeddings": ("opt-6.7b", {"word_embed_proj_dim": 512}, "word_embed_proj_dim: got 512"),
    "norms elsewhere": ("opt-6.7b", {"do_layer_norm_before": False}, "do_layer_norm_before: got False"),
}


@pytest.mark.parametrize(("name", "changes", "message"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_is_refused_by_name(read, name, changes, message):
    with pytest.raises(InputError) as refusal:
        read(name, **changes)
    assert message in str(refusal.value)


CONTENT = {
    "a list": (b"[1, 2]", "model: got [1, 2], expected a JSON object"),
    "a number": (b"7", "model: got 7, expected a JSON object"),
    "nothing": (b"", "expected JSON"),
    "cut off": (b'{"model_type": "llama"', "expected JSON"),
    "NaN": (b'{"model_type": "llama", "hidden_size": NaN}', "expected JSON, which knows no NaN"),
    "not text": (b"\xff\xfe\x00", "expected JSON"),
    "brackets without end": (b"[" * 100_000, "expected JSON"),
    "huge": (b" " * (MAX_BYTES + 1), "expected a config.json of at most"),
}


@pytest.mark.parametrize(("content", "message"), CONTENT.values(), ids=CONTENT)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_config(path)
    assert message in str(refusal.value)


@pytest.mark.parametrize("path", ["nowhere.json", "."])
def test_a_path_without_a_file_is_refused(tmp_path, path):
    with pytest.raises(InputError, match=r"model: got .* expected a readable config\.json"):
        read_config(tmp_path / path)


def test_a_mapping_is_read_as_its_file_is(configs):
    path = configs / "llama-3-8b.json"
    assert transformer(json.loads(path.read_text())) == read_config(path)
