"""Answers without a model: physics, a launch and a wide interval."""

import numpy as np
import pytest

from foretell.datasets.collectors.cases import case_of
from foretell.datasets.device import device
from foretell.datasets.operators.gemm import GemmQuery
from foretell.errors import InputError
from foretell.predictors.families import ENCODERS
from foretell.predictors.untrained import FACTOR, LAUNCH_US, SLOWDOWN, Untrained

QUERY = GemmQuery(m=4096, n=4096, k=4096, dtype="bfloat16", device="h100")
LEVELS = (0.05, 0.5, 0.95)


def test_the_median_is_a_multiple_of_the_roofline_and_a_launch():
    compute_us = 2e6 * 4096**3 / device("h100").peak_flops("bfloat16")
    _, middle, _ = Untrained("gemm").latency_us(QUERY, LEVELS)
    assert middle == pytest.approx(SLOWDOWN * (compute_us + LAUNCH_US))


def test_the_interval_is_as_wide_as_it_says():
    low, middle, high = Untrained("gemm").latency_us(QUERY, LEVELS)
    assert (middle / low, high / middle) == pytest.approx((FACTOR, FACTOR))


def test_every_operator_has_an_answer():
    fields = {"dtype": "float32", "device": "a100_80"}
    small = {
        "gemm": {"m": 1, "n": 2, "k": 3},
        "bmm": {"batch": 1, "m": 1, "n": 2, "k": 3},
        "attention": {"phase": "generation", "batch": 1, "new_tokens": 1, "past_tokens": 9, "heads": 2,
                      "kv_heads": 1, "head_dim": 8, "kv_dtype": "float32"},
        "moe": {"tokens": 1, "hidden": 8, "inter": 8, "experts": 4, "top_k": 2},
        "layernorm": {"rows": 1, "hidden": 8},
        "softmax": {"rows": 1, "hidden": 8},
        "elementwise": {"function": "add", "rows": 1, "hidden": 8},
        "convolution": {"batch": 1, "in_channels": 1, "out_channels": 1, "height": 3, "width": 3,
                        "kernel": 1},
        "collective": {"collective": "all_reduce", "gpus": 2, "message_bytes": 8},
    }  # fmt: skip
    assert small.keys() == ENCODERS.keys() & small.keys()
    for name, own in small.items():
        query = case_of(name, dtype="float32", **own).query
        placed = type(query)(**own, **fields)
        values = Untrained(name).latency_us(placed, LEVELS)
        assert np.all(np.diff(values) > 0)
        assert values[0] > 0


def test_a_device_that_nobody_described_is_refused():
    query = GemmQuery(m=1, n=1, k=1, dtype="bfloat16", device="abacus")
    with pytest.raises(InputError, match="device: got 'abacus'"):
        Untrained("gemm").latency_us(query, LEVELS)


def test_what_its_device_cannot_hold_is_refused():
    query = GemmQuery(m=2**24, n=2**24, k=8, dtype="bfloat16", device="h100")
    with pytest.raises(InputError, match="m, n, k"):
        Untrained("gemm").latency_us(query, LEVELS)
