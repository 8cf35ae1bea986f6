"""Memory of a pass: weights, cache and activations by hand and by a plain loop."""

import pytest

from foretell.datasets.transformer.memory import memory_of
from foretell.datasets.transformer.parameters import parameters
from foretell.datasets.transformer.step import Step


def test_weights_take_their_bytes(name, model, prefill, published):
    assert memory_of(model, prefill).weights_bytes == 2 * published[name]


def test_quantised_weights_leave_embedding_and_output_as_they_are(read):
    model = read("llama-3-8b")
    held = memory_of(model, Step(device="h100", dtype="int4_wo")).weights_bytes
    kept = 2 * (2 * 128256 * 4096 + 65 * 4096)
    assert held == pytest.approx(kept + 0.5 * (8_030_261_248 - kept / 2), rel=1e-9)


@pytest.mark.parametrize("tp", [1, 2, 4, 8])
def test_devices_share_weights_and_cache(read, tp):
    model = read("llama-3-8b")
    one, shared = (
        memory_of(model, Step(device="h100", batch=8, tokens=2048, dtype="bfloat16", tp=n)) for n in (1, tp)
    )
    # Norms are on every device: 0.003 % of the weights.
    assert shared.weights_bytes * tp == pytest.approx(one.weights_bytes, rel=1e-3)
    assert shared.cache_bytes * tp == one.cache_bytes


def test_copied_key_value_heads_are_held_by_each_device(read):
    model = read("gemma-2b")
    steps = (Step(device="h100", tokens=100, tp=tp) for tp in (1, 8))
    assert len({memory_of(model, step).cache_bytes for step in steps}) == 1
    assert parameters(model, 8).matrices * 8 > parameters(model).matrices


def test_the_cache_is_what_a_loop_over_tokens_counts(model):
    step = Step(device="h100", batch=3, tokens=7, past=5000, dtype="bfloat16", kv_dtype="fp8")
    bytes_held = 0
    for layer in model.layers:
        for token in range(5007):
            if not layer.window or token >= 5007 - layer.window:
                bytes_held += 2 * model.attention.kv_heads * model.attention.head_dim
    assert memory_of(model, step).cache_bytes == 3 * bytes_held


def test_more_tokens_take_more(model):
    few, many = (memory_of(model, Step(device="h100", tokens=tokens)) for tokens in (10, 1000))
    assert few.cache_bytes < many.cache_bytes
    assert few.activations_bytes < many.activations_bytes
    assert few.weights_bytes == many.weights_bytes
    assert many.total_bytes == many.weights_bytes + many.cache_bytes + many.activations_bytes


def test_llama_3_70b_needs_several_devices(read):
    """141 GB of weights in bfloat16, as is well known."""
    held = memory_of(read("llama-3.1-70b"), Step(device="h100", tokens=2048))
    assert held.weights_bytes == pytest.approx(141e9, rel=0.01)
