"""What every collector must do, whatever it measures; a new one gets a builder here."""

import dataclasses
import pkgutil
import subprocess
import sys

import pytest

from foretell.datasets.collectors import COLLECTORS
from foretell.datasets.collectors.base import Availability
from foretell.datasets.collectors.gemm import TorchGemm
from foretell.datasets.collectors.replay import Replay
from foretell.datasets.collectors.rows import kernel_rows
from foretell.datasets.collectors.shapes import GemmCase
from foretell.datasets.collectors.timing import Settle
from foretell.datasets.kernel import Kernel

QUICK = Settle(quantile=0.1, min_s=0.0, max_s=0.01, warm_up_s=0.0)
BUILDERS = {
    "gemm": lambda recording: TorchGemm("this-cpu", threads=1, rule=QUICK),
    "replay": Replay,
}
UNRUNNABLE = GemmCase(64, 64, 64, "nvfp4")


@pytest.fixture(params=COLLECTORS)
def collector(request, recording):
    return BUILDERS[request.param](recording)


@pytest.mark.parametrize("name", COLLECTORS)
def test_the_table_names_what_the_builder_builds(name, recording):
    assert type(BUILDERS[name](recording)) is pkgutil.resolve_name(COLLECTORS[name])


@pytest.mark.parametrize("modules", ["collectors", *(f"collectors.{name}" for name in COLLECTORS), "doctor"])
def test_looking_imports_nothing_heavy(modules):
    heavy = "{'torch', 'pynvml', 'mlflow'} & set(sys.modules)"
    code = f"import sys, foretell.datasets.{modules}; assert not {heavy}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_it_says_whether_it_can_run(collector):
    answer = collector.available()
    assert isinstance(answer, Availability)
    assert answer.ok
    assert not answer.reason


def test_a_measured_case_has_a_time_and_says_where_it_comes_from(collector, cases):
    for case in cases:
        measurement = collector.measure(case)
        assert measurement.status == "ok", measurement.reason
        assert measurement.timing.latency_us > 0
        assert measurement.case == case
        assert measurement.provenance == collector.provenance()


def test_measurements_become_rows_that_the_kind_accepts(collector, cases):
    rows = kernel_rows(collector.measure(case) for case in [*cases, UNRUNNABLE])
    assert Kernel.is_valid(rows)
    assert rows["status"].to_list() == ["ok", "ok", "ok", "failed"]


def test_a_case_that_fails_is_a_row_that_says_why(collector):
    measurement = collector.measure(UNRUNNABLE)
    assert (measurement.status, measurement.timing) == ("failed", None)
    assert measurement.reason


def test_a_failed_case_does_not_hinder_the_next(collector, cases):
    collector.measure(UNRUNNABLE)
    assert collector.measure(cases[0]).status == "ok"


def test_missing_energy_says_why(collector, cases):
    for case in cases:
        energy = collector.measure(case).energy
        assert (energy.energy_mj is None) == bool(energy.reason)


def test_a_measurement_cannot_be_changed(collector, cases):
    with pytest.raises(dataclasses.FrozenInstanceError):
        collector.measure(cases[0]).status = "failed"


def test_time_does_not_go_back(collector, cases):
    started_ns = [collector.measure(case).started_ns for case in cases]
    assert started_ns == sorted(started_ns)


def test_the_origin_tells_a_measurement_from_a_recording(collector):
    prefix = "replay:" if isinstance(collector, Replay) else "collector/"
    assert collector.provenance().origin.startswith(prefix)
