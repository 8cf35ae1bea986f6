"""The operators of a pass against a naive pass that notes every product, and against known totals."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from foretell.datasets.transformer.listing import operators_of
from foretell.datasets.transformer.model import Attention, Experts, Layer, Mlp, Transformer
from foretell.datasets.transformer.parameters import parameters
from foretell.datasets.transformer.step import Step
from foretell.errors import InputError

OUTPUT = "output to vocabulary"


def of(listed, operator):
    return [each for each in listed if each.operator == operator]


def product_operations(listed, *, output=True):
    """Two operations for each term of all matrix products; a token goes through `top_k` gated experts."""
    gemms = (
        e.count * 2 * e.query.m * e.query.n * e.query.k
        for e in of(listed, "gemm")
        if output or e.name != OUTPUT
    )
    experts = (
        e.count * 6 * e.query.tokens * e.query.top_k * e.query.hidden * e.query.inter // e.query.tp
        for e in of(listed, "moe")
    )
    return sum(gemms) + sum(experts)


def test_products_take_two_operations_for_each_weight_and_token(model, prefill):
    held = parameters(model)
    weights = held.matrices + held.active_experts
    # The gate of a shared expert is one column that no kernel is listed for.
    gates = sum(bool(getattr(layer.feed_forward, "shared_inter", 0)) for layer in model.layers)
    operations = product_operations(operators_of(model, prefill), output=False)
    assert operations == 2 * prefill.rows * (weights - gates * model.hidden)


def test_the_known_rule_holds(name, model, prefill, published):
    held = parameters(model)
    active = published[name] - held.embedding - held.output - held.experts + held.active_experts
    operations = product_operations(operators_of(model, prefill), output=False)
    # Norms and biases are counted among the parameters and take no product: 0.1 % of the smallest model.
    assert operations == pytest.approx(2 * active * prefill.rows, rel=2e-3)


def test_only_the_last_token_goes_on_to_the_vocabulary(model, prefill):
    (output,) = [each for each in operators_of(model, prefill) if each.name == OUTPUT]
    assert (output.query.m, output.query.n, output.query.k) == (prefill.batch, model.vocabulary, model.hidden)


@pytest.mark.parametrize("tp", [2, 4])
def test_devices_share_the_products_evenly(read, prefill, tp):
    model = read("llama-3-8b")
    shared = operators_of(model, Step(device="h100", batch=4, tokens=512, dtype="bfloat16", tp=tp))
    assert product_operations(shared) * tp == product_operations(operators_of(model, prefill))


def test_key_value_heads_are_copied_where_there_are_fewer_than_devices(read):
    listed = operators_of(read("gemma-2b"), Step(device="h100", batch=1, tokens=64, tp=4))
    (attention,) = of(listed, "attention")
    assert (attention.query.heads, attention.query.kv_heads) == (2, 1)
    assert next(each for each in listed if each.name == "qkv projection").query.n == (2 + 2) * 256


def test_collectives_are_there_exactly_with_several_devices(read, prefill):
    model = read("llama-3-8b")
    assert not of(operators_of(model, prefill), "collective")
    shared = of(
        operators_of(model, Step(device="h100", batch=4, tokens=512, dtype="float16", tp=2)), "collective"
    )
    said = {(each.query.collective, each.count): each.query.message_bytes for each in shared}
    assert said == {
        ("all_reduce", 1): 4 * 512 * 4096 * 2,
        ("all_reduce", 64): 4 * 512 * 4096 * 2,
        ("all_gather", 1): 4 * 128256 * 2,
    }


def test_parts_side_by_side_share_an_all_reduce(read):
    listed = operators_of(read("falcon-40b"), Step(device="h100", batch=1, tokens=64, tp=2))
    assert next(each for each in listed if each.name == "layer all-reduce").count == 60


def test_a_window_that_holds_the_sequence_is_none(read, prefill):
    short = of(operators_of(read("gemma-2-9b"), prefill), "attention")
    long = of(operators_of(read("gemma-2-9b"), Step(device="h100", batch=1, tokens=8192)), "attention")
    assert [(each.query.window, each.count) for each in short] == [(0, 42)]
    assert sorted((each.query.window, each.count) for each in long) == [(0, 21), (4096, 21)]


def test_decode_adds_one_token_to_each_sequence(model, decode):
    for each in of(operators_of(model, decode), "attention"):
        assert (each.query.phase, each.query.new_tokens, each.query.past_tokens) == ("generation", 1, 1000)
    assert {each.query.m for each in of(operators_of(model, decode), "gemm")} == {16}


def test_quantised_products_leave_the_rest_in_the_type_of_the_activations(read):
    step = Step(device="h100", batch=1, tokens=64, dtype="fp8", kv_dtype="fp8")
    dtypes = {each.name: each.query.dtype for each in operators_of(read("qwen3-30b-a3b"), step)}
    assert (dtypes["qkv projection"], dtypes["experts"]) == ("fp8", "fp8")
    assert {dtypes[name] for name in ("norms", "attention", "router", OUTPUT)} == {"bfloat16"}


# ---- a naive pass that notes every product it makes


class Naive:
    """One device's part of a pass, as one would first think of it; notes (m, n, k) of each product."""

    def __init__(self, model, step):
        self.model, self.step, self.products = model, step, Counter()
        self.draw = np.random.default_rng(0)

    def times(self, x, columns):
        """`x` times a weight with so many columns."""
        out = x @ self.draw.normal(size=(x.shape[1], columns))
        self.products[x.shape[0], columns, x.shape[1]] += 1
        return out

    def run(self):
        model, tp = self.model, self.step.tp
        x = self.draw.normal(size=(self.step.batch * self.step.tokens, model.hidden))
        for layer in model.layers:
            x = x + self.attention(x)
            x = x + self.feed_forward(x, layer.feed_forward)
        last = x[self.step.tokens - 1 :: self.step.tokens]
        self.times(last, math.ceil(model.vocabulary / tp))
        return self.products

    def attention(self, x):
        attention, tp = self.model.attention, self.step.tp
        owners = [head * attention.kv_heads // attention.heads for head in range(attention.heads)]
        mine = owners[: attention.heads // tp]
        queries = len(mine) * attention.head_dim
        qkv = self.times(x, queries + 2 * len(set(mine)) * attention.head_dim)
        return self.times(qkv[:, :queries], self.model.hidden)

    def feed_forward(self, x, part):
        if isinstance(part, Experts):
            self.times(x, part.experts)
            return 0.0
        inter = part.inter // self.step.tp
        if part.gated:
            both = self.times(x, 2 * inter)
            return self.times(both[:, :inter] * both[:, inter:], self.model.hidden)
        return self.times(np.maximum(self.times(x, inter), 0.0), self.model.hidden)


def small(*parts, heads=8, kv_heads=2):
    return Transformer(
        model_type="llama", hidden=48, vocabulary=50, layers=tuple(Layer(0, part) for part in parts),
        attention=Attention(heads, kv_heads, 6), activation="silu", norm="rms", norms=2, parallel=False,
        positions=0, tied=False, dtype="float32",
    )  # fmt: skip


GATED, PLAIN = Mlp(40, gated=True), Mlp(24, gated=False, bias=True)
MODELS = [
    small(GATED, GATED),
    small(PLAIN, GATED, PLAIN, heads=4, kv_heads=4),
    small(Experts(4, 2, 16), PLAIN, kv_heads=1),
]


@pytest.mark.parametrize(("model", "tp", "tokens"), list(itertools.product(MODELS, (1, 2, 4), (1, 7))))
def test_a_naive_pass_makes_the_same_products(model, tp, tokens):
    step = Step(device="h100", batch=3, tokens=tokens, tp=tp)
    listed = Counter()
    for each in of(operators_of(model, step), "gemm"):
        listed[each.query.m, each.query.n, each.query.k] += each.count
    assert listed == Naive(model, step).run()


WRONG = {
    "tp and heads": ({"tp": 5}, "tp: got 5, expected a divisor of the 32 heads"),
    "too many": (
        {"batch": 2**20, "tokens": 2**20},
        "batch, tokens: got (1048576, 1048576), expected 16777216 rows",
    ),
    "half a place": ({"phase": "decode", "past": 0}, "past: got 0, expected 1 at least in decode"),
    "decode of many": ({"phase": "decode", "past": 9, "tokens": 2}, "tokens: got 2, expected 1 in decode"),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG)
def test_a_step_that_cannot_be_is_refused_by_name(read, changes, message):
    with pytest.raises(InputError) as refusal:
        operators_of(read("llama-3-8b"), Step(device="h100", **changes))
    assert message in str(refusal.value)


OTHER_WRONG = {
    "kv heads": (
        "llama-3-8b",
        {"num_key_value_heads": 4, "num_attention_heads": 12, "head_dim": 64},
        {"tp": 6},
        "tp: got 6, expected a divisor or a multiple of the 4 kv heads",
    ),
    "inner width": (
        "llama-3-8b",
        {"intermediate_size": 1001},
        {"tp": 2},
        "tp: got 2, expected a divisor of the inner width 1001",
    ),
    "positions": ("gpt2", {}, {"tokens": 2000}, "tokens: got 2000, expected at most the 1024 positions"),
    "quantised": (
        "llama-3-8b",
        {"quantization_config": {"quant_method": "awq"}},
        {},
        "dtype: got None, expected which of",
    ),
}


@pytest.mark.parametrize(("name", "config", "changes", "message"), OTHER_WRONG.values(), ids=OTHER_WRONG)
def test_a_step_that_this_model_cannot_do_is_refused_by_name(read, name, config, changes, message):
    with pytest.raises(InputError) as refusal:
        operators_of(read(name, **config), Step(device="h100", **changes))
    assert message in str(refusal.value)
