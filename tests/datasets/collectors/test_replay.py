"""The replay double gives back what was recorded, and nothing else."""

import polars as pl
import pytest

from foretell.datasets.collectors.gemm import TorchGemm
from foretell.datasets.collectors.replay import Replay
from foretell.datasets.collectors.rows import kernel_rows
from foretell.datasets.collectors.timing import Settle
from foretell.errors import InputError, UnavailableError


def test_it_gives_back_the_recorded_rows(recording, cases):
    replay = Replay(recording)
    played = kernel_rows(replay.measure(case) for case in cases)
    assert played.drop("origin").equals(recording.drop("origin"))
    assert set(played["origin"]) == {"replay:collector/node7"}


def test_what_the_real_collector_measured_can_be_replayed(cases):
    real = TorchGemm("this-cpu", threads=1, rule=Settle(min_s=0.0, max_s=0.01))
    recorded = kernel_rows(real.measure(case) for case in cases)
    replay = Replay(recorded)
    assert kernel_rows(replay.measure(case) for case in cases).drop("origin").equals(recorded.drop("origin"))


def test_an_unknown_case_fails_and_says_so(recording, gemm):
    measurement = Replay(recording).measure(gemm(3, 3, 3))
    assert measurement.status == "failed"
    assert "not among the 3 recorded" in measurement.reason


def test_a_recorded_failure_is_played_as_one(recording, cases):
    failed = recording.with_columns(status=pl.lit("failed"), reason=pl.lit("out of memory"))
    assert Replay(failed).measure(cases[0]).reason == "out of memory"


def test_several_recordings_of_a_case_play_in_turn(recording, cases):
    again = recording.with_columns(pl.col("latency_us") * 2)
    replay = Replay(pl.concat([recording, again]))
    assert [replay.measure(cases[0]).timing.latency_us for _ in range(3)] == [4.5, 9.0, 4.5]


def test_recordings_of_two_devices_are_refused(recording):
    other = recording.with_columns(device=pl.lit("a100-80gb"))
    with pytest.raises(InputError, match="rows"):
        Replay(pl.concat([recording, other]))


def test_nothing_recorded_cannot_be_played(recording, cases):
    empty = Replay(recording.clear())
    assert not empty.available()
    with pytest.raises(UnavailableError, match="no recorded rows"):
        empty.measure(cases[0])
