"""The torch collector on this CPU: right products; no time is compared with another."""

import os
from itertools import pairwise

import pytest

from foretell.datasets.collectors.base import Energy
from foretell.datasets.collectors.gemm import PRODUCTS, TorchGemm
from foretell.datasets.collectors.kernels import usable_cores
from foretell.datasets.collectors.precision import float32_precision
from foretell.datasets.collectors.timing import CPU_RULE, HostTimer, Settle
from foretell.errors import InputError, UnavailableError

torch = pytest.importorskip("torch")
QUICK = Settle(min_s=0.0, max_s=0.01, warm_up_s=0.0)
CPU_DTYPES = tuple(PRODUCTS["cpu"])


def collector(**options):
    return TorchGemm("this-cpu", **{"threads": 1, "rule": QUICK, **options})


def product(case, on=None):
    """What a call multiplied and what came out."""
    on = on or collector()
    call = on.call(case.query)
    with on.setting(case.query):
        call()
    a, w_t = call.args
    return a, w_t, call.keywords["out"]


@pytest.mark.parametrize("dtype", CPU_DTYPES)
@pytest.mark.parametrize("shape", [(32, 48, 64), (1, 17, 5), (7, 1, 129)])
def test_the_call_computes_the_product(gemm, dtype, shape):
    case = gemm(*shape, dtype)
    a, w_t, out = product(case)
    exact = a.double() @ w_t.double()
    # The output is rounded to its type, of which bfloat16 keeps the fewest bits: 8, so 2^-8 of its size.
    scale = (a.double().abs() @ w_t.double().abs()).max()
    assert (out.double() - exact).abs().max() <= 2**-8 * scale
    assert tuple(out.shape) == (case.query.m, case.query.n)


@pytest.mark.parametrize("dtype", CPU_DTYPES)
def test_operands_lie_as_a_linear_layer_has_them(gemm, dtype):
    a, w_t, out = product(gemm(8, 24, 40, dtype))
    assert a.is_contiguous()
    assert w_t.t().is_contiguous()
    assert out.is_contiguous()


@pytest.mark.parametrize("dtype", CPU_DTYPES)
def test_operands_are_random_and_never_zeros(gemm, dtype):
    a, w_t, _ = product(gemm(64, 64, 64, dtype))
    for operand in (a, w_t):
        # An int8 is zero once in 256: 4096 draws hold 16, and 60 would be eleven standard deviations more.
        assert (operand == 0).sum() < 60
        assert operand.double().std() > 0.5
    assert not torch.equal(a, w_t)


def test_operands_do_not_overlap_however_the_buffers_grew(gemm):
    same = collector()
    for size in (8, 1500, 16):
        a, w_t, out = product(gemm(size, size, size), same)
        spans = sorted((t.data_ptr(), t.data_ptr() + t.numel() * 4) for t in (a, w_t, out))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@pytest.mark.parametrize("before", ["highest", "high"])
def test_the_precision_of_float32_is_set_and_put_back(before):
    torch.set_float32_matmul_precision(before)
    try:
        with float32_precision(torch, "highest"):
            assert torch.get_float32_matmul_precision() == "highest"
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_float32_is_found_among_the_data_types():
    assert "float32" in collector().dtypes()


def test_a_data_type_that_torch_does_not_multiply_fails_and_says_so(gemm):
    assert "fp8" in collector().measure(gemm(16, 16, 16, "fp8")).reason


def test_what_torch_raises_is_the_reason_in_one_line(gemm, monkeypatch):
    def broken(*_):
        raise RuntimeError("not enough memory\nat line 1")

    monkeypatch.setattr(TorchGemm, "call", broken)
    assert collector().measure(gemm(16, 16, 16)).reason == "not enough memory"


def test_bounds_grow_with_the_time_allowed():
    steady = collector(timer=HostTimer(Ticks()))
    short, long = (steady.bounds(limit_s=limit_s) for limit_s in (0.001, 0.128))
    # 128 times the time at one rate; the bounds are rounded to powers of two, both by the same factor.
    assert long.max_operations["float32"] == 128 * short.max_operations["float32"]
    assert set(short.max_operations) == set(collector().dtypes())


def test_threads_are_those_asked_for_and_named_in_the_backend(gemm):
    one = collector(threads=1)
    one.measure(gemm(8, 8, 8))
    assert torch.get_num_threads() == one.provenance().threads == 1
    assert one.provenance().backend == ("torch" if usable_cores() == 1 else "torch-1t")


def test_all_usable_cores_are_the_default():
    all_cores = TorchGemm("this-cpu")
    assert (all_cores.provenance().backend, all_cores.provenance().threads) == ("torch", usable_cores())


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": 10**6}, {"device_type": "tpu"}])
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InputError):
        collector(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_device_is_told_and_never_measured(gemm):
    cuda = TorchGemm("h200", device_type="cuda")
    assert "CUDA" in cuda.available().reason
    with pytest.raises(UnavailableError, match="CUDA"):
        cuda.measure(gemm(8, 8, 8))


class Ticks:
    """A clock of which every reading is a microsecond after the last one."""

    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        self.now_ns += 1000
        return self.now_ns


def test_the_clock_is_the_one_given(gemm):
    clock = Ticks()
    measurement = collector(clock_ns=clock, timer=HostTimer(clock)).measure(gemm(8, 8, 8))
    calls = measurement.timing.calls_per_repeat
    assert measurement.timing.latency_us == pytest.approx(1.0 / calls)


def test_energy_comes_from_the_sensor_given(gemm, meter):
    energy = collector(sensor=meter).measure(gemm(64, 64, 64)).energy
    assert isinstance(energy, Energy)
    assert 0 < energy.energy_mj <= 1000
    assert energy.power_limit_w == 250.0


def test_load_is_recorded(gemm, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (1.25, 0.5, 0.25))
    assert collector().measure(gemm(8, 8, 8)).load_1m == 1.25


def test_three_shapes_are_measured_by_the_rule_of_the_product(cases):
    real = TorchGemm("this-cpu", threads=1, rule=CPU_RULE)
    for case in cases:
        timing = real.measure(case).timing
        # These products take microseconds: 10 s would be a unit mistaken.
        assert 0 < timing.latency_us < 1e7
        assert timing.repeats >= CPU_RULE.min_repeats
        assert timing.spread >= 0
