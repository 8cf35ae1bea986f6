"""What every collector must do, whatever it measures; a new one gets small cases here."""

import dataclasses
import itertools
import pkgutil
import subprocess
import sys

import pytest

from foretell.datasets.collectors import COLLECTORS, TORCH
from foretell.datasets.collectors.base import Availability
from foretell.datasets.collectors.cases import case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.replay import Replay
from foretell.datasets.collectors.rows import kernel_rows
from foretell.datasets.collectors.timing import Settle
from foretell.datasets.kernel import Kernel

torch = pytest.importorskip("torch")
QUICK = Settle(quantile=0.1, min_s=0.0, max_s=0.003, warm_up_s=0.0)
ATTENTION = {"batch": 2, "heads": 4, "kv_heads": 2, "head_dim": 16}
CONTEXT = ATTENTION | {"phase": "context", "new_tokens": 5, "past_tokens": 0}
GENERATION = ATTENTION | {"phase": "generation", "new_tokens": 1, "past_tokens": 9}
IMAGE = {"batch": 1, "in_channels": 4, "out_channels": 6, "height": 9, "width": 8, "kernel": 3}
MOE = {"tokens": 9, "hidden": 16, "inter": 24, "experts": 4, "top_k": 2}
SMALL = {
    "gemm": [{"m": 32, "n": 48, "k": 64}, {"m": 1, "n": 96, "k": 32}, {"m": 7, "n": 13, "k": 31}],
    "bmm": [{"batch": 3, "m": 8, "n": 16, "k": 32}, {"batch": 1, "m": 7, "n": 1, "k": 13}],
    "attention": [CONTEXT, GENERATION, CONTEXT | {"past_tokens": 3}, CONTEXT | {"kv_heads": 4}],
    "moe": [MOE, MOE | {"distribution": "power_law_1.2"}, MOE | {"tp": 2, "ep": 2}],
    "layernorm": [{"rows": 8, "hidden": 64}, {"rows": 1, "hidden": 13}],
    "softmax": [{"rows": 8, "hidden": 64}, {"rows": 1, "hidden": 13}],
    "elementwise": [{"function": name, "rows": 3, "hidden": 64} for name in ("add", "gelu", "pow_scalar")],
    "convolution": [IMAGE, IMAGE | {"groups": 2, "padding": 1, "stride": 2}],
}


def small(operator, dtype="float32"):
    cache = {"kv_dtype": "bfloat16" if dtype == "nvfp4" else dtype} if operator == "attention" else {}
    return [case_of(operator, dtype=dtype, **cache, **fields) for fields in SMALL[operator]]


def build(name, recording):
    if name == "replay":
        return Replay(recording)
    return pkgutil.resolve_name(COLLECTORS[name])("this-cpu", threads=1, rule=QUICK)


@pytest.fixture(params=COLLECTORS)
def name(request):
    return request.param


@pytest.fixture
def collector(name, recording):
    return build(name, recording)


@pytest.fixture
def own_cases(name, cases):
    """Small cases that the collector can run."""
    return cases if name == "replay" else small(name)


@pytest.fixture
def unrunnable(name):
    """A case in a data type that torch has no kernel for on a CPU."""
    return small("gemm" if name == "replay" else name, "nvfp4")[0]


def test_looking_imports_nothing_heavy():
    modules = ["collectors", *(f"collectors.{name}" for name in COLLECTORS), "doctor"]
    imports = ", ".join(f"foretell.datasets.{module}" for module in modules)
    code = f"import sys, {imports}; assert not {{'torch', 'pynvml', 'mlflow'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_whether_it_can_run(collector):
    answer = collector.available()
    assert isinstance(answer, Availability)
    assert answer.ok
    assert not answer.reason


def test_a_measured_case_has_a_time_and_says_where_it_comes_from(collector, own_cases):
    for case in own_cases:
        measurement = collector.measure(case)
        assert measurement.status == "ok", measurement.reason
        assert measurement.timing.latency_us > 0
        assert measurement.case == case
        assert measurement.provenance == collector.provenance()


def test_measurements_become_rows_that_the_kind_accepts(collector, own_cases, unrunnable):
    rows = kernel_rows(collector.measure(case) for case in [*own_cases, unrunnable])
    assert Kernel.is_valid(rows)
    assert rows["status"].to_list() == ["ok"] * len(own_cases) + ["failed"]


def test_a_case_that_fails_is_a_row_that_says_why(collector, unrunnable):
    measurement = collector.measure(unrunnable)
    assert (measurement.status, measurement.timing) == ("failed", None)
    assert measurement.reason


def test_a_case_of_another_operator_fails_and_says_so(name, collector):
    other = small("softmax" if name == "layernorm" else "layernorm")[0]
    assert collector.measure(other).status == "failed"


def test_a_failed_case_does_not_hinder_the_next(collector, own_cases, unrunnable):
    collector.measure(unrunnable)
    assert collector.measure(own_cases[0]).status == "ok"


def test_missing_energy_says_why(collector, own_cases):
    energy = collector.measure(own_cases[0]).energy
    assert (energy.energy_mj is None) == bool(energy.reason)


def test_a_measurement_cannot_be_changed(collector, own_cases):
    with pytest.raises(dataclasses.FrozenInstanceError):
        collector.measure(own_cases[0]).status = "failed"


def test_time_does_not_go_back(collector, own_cases):
    started_ns = [collector.measure(case).started_ns for case in own_cases]
    assert started_ns == sorted(started_ns)


def test_the_origin_tells_a_measurement_from_a_recording(collector):
    prefix = "replay:" if isinstance(collector, Replay) else "collector/"
    assert collector.provenance().origin.startswith(prefix)


def test_what_was_measured_can_be_replayed(collector, own_cases):
    recorded = kernel_rows(collector.measure(case) for case in own_cases)
    played = kernel_rows(map(Replay(recorded).measure, own_cases))
    assert played.drop("origin").equals(recorded.drop("origin"))


@pytest.mark.parametrize("operator", TORCH)
def test_a_seed_names_a_stream_of_cases_that_can_be_kept(operator, recording):
    collector = build(operator, recording)
    drawn, again = (list(itertools.islice(collector.cases(("float32",), seed=3), 40)) for _ in range(2))
    # Bounds are measured anew: on a busy machine they may leave out cases that were drawn before.
    assert len(set(drawn) & set(again)) >= 20
    assert len(set(drawn)) == 40
    assert {case.operator for case in drawn} == {operator}


class Double:
    """The module torch with a CUDA device that is a double: work on it runs on this CPU."""

    def __init__(self, cuda):
        self.cuda = cuda

    def __getattr__(self, name):
        return getattr(torch, name)

    def Generator(self, device):
        assert device == "cuda"
        return torch.Generator()

    def randn(self, count, *, generator, device):
        return torch.randn(count, generator=generator)

    def randint(self, low, high, shape, *, generator, device, dtype):
        return torch.randint(low, high, shape, generator=generator, dtype=dtype)

    def arange(self, start, end, *, device):
        return torch.arange(start, end)


@pytest.mark.parametrize("operator", TORCH)
def test_on_cuda_events_time_the_replayed_graph_and_a_sensor_its_energy(
    operator, make_cuda, meter, monkeypatch
):
    cuda = make_cuda(call_ms=0.5)
    monkeypatch.setattr(TorchKernels, "torch", Double(cuda))
    collector = pkgutil.resolve_name(TORCH[operator])(
        "h200", device_type="cuda", rule=Settle(max_s=0.001, min_s=0.0, warm_up_s=0.0), sensor=meter
    )
    counted = collector.call
    monkeypatch.setattr(collector, "call", lambda query: _both(counted(query), cuda.call))
    for case in small(operator):
        cuda.captured = 0
        measurement = collector.measure(case)
        assert measurement.status == "ok", measurement.reason
        # The double counts every call that was captured so far, of one sample, and takes 0.5 ms for each.
        assert measurement.timing.latency_us == pytest.approx(500.0)
        energy = measurement.energy
        assert 0 < energy.energy_mj <= 1000.0
        assert (energy.power_w > 0, energy.power_limit_w) == (True, 250.0)
    assert (collector.provenance().backend, collector.provenance().threads) == ("torch", None)


def _both(call, also):
    def run():
        also()
        return call()

    return run
