"""Campaigns on a replayed recording and a fake clock: budget, resumption, failures and interruption."""

from itertools import count

import polars as pl
import pytest
from rich.console import Console

from foretell.datasets.collectors.bar import progress_bar
from foretell.datasets.collectors.campaign import FLUSH_S, run
from foretell.datasets.collectors.cases import case_of
from foretell.datasets.collectors.replay import Replay
from foretell.datasets.kernel import Kernel

STREAM = [case_of("gemm", m=m, n=16, k=16, dtype="float32") for m in range(1, 41)]


class Slow:
    """Wraps a replay: every case takes a second of the fake clock; one of them may be interrupted."""

    kind = "kernel"

    def __init__(self, replay, interrupt_at=None):
        self._replay, self._interrupt_at = replay, interrupt_at
        self.now_ns, self.asked = 0, []

    def clock(self):
        return self.now_ns

    def available(self):
        return self._replay.available()

    def provenance(self):
        return self._replay.provenance()

    def measure(self, case):
        if case == self._interrupt_at:
            raise KeyboardInterrupt
        self.asked.append(case)
        self.now_ns += 1_000_000_000
        return self._replay.measure(case)


@pytest.fixture
def slow(recording):
    rows = [
        recording[:1].with_columns(m=pl.lit(c.query.m), n=pl.lit(c.query.n), k=pl.lit(c.query.k))
        for c in STREAM[:39]
    ]
    return Slow(Replay(pl.concat(rows).cast({"m": pl.Int64, "n": pl.Int64, "k": pl.Int64})))


def campaign(collector, cases=STREAM, **options):
    batches = []
    options = {"budget_s": 1e9, "append": batches.append, **options}
    progress = run(collector, cases, clock_ns=collector.clock, **options)
    return progress, batches


def test_it_ends_with_the_stream(slow):
    progress, batches = campaign(slow)
    assert (progress.measured, progress.failed, progress.interrupted) == (39, 1, False)
    assert Kernel.is_valid(pl.concat(batches))
    assert pl.concat(batches)["m"].to_list() == [case.query.m for case in STREAM]


def test_it_ends_an_unlimited_stream_with_the_budget(slow):
    unlimited = (case_of("gemm", m=1 + m % 1000, n=16, k=16, dtype="float32") for m in count())
    progress, _ = campaign(slow, unlimited, budget_s=12.5)
    assert progress.measured == 13
    assert progress.elapsed_s == 13.0


def test_a_failed_case_is_a_row(slow):
    _, batches = campaign(slow)
    failed = pl.concat(batches).filter(pl.col("status") == "failed")
    assert failed["m"].to_list() == [STREAM[-1].query.m]
    assert "not among" in failed["reason"][0]


def test_nothing_waits_longer_than_the_flush_time(slow):
    _, batches = campaign(slow)
    assert [batch.height for batch in batches] == [int(FLUSH_S)] * 4


def test_a_resumed_campaign_goes_on_where_the_first_one_stopped(slow):
    first, batches = campaign(slow, budget_s=15.0)
    second, _ = campaign(slow, already=pl.concat(batches))
    assert (first.measured, second.skipped, second.measured + second.failed) == (15, 15, 25)
    assert slow.asked == STREAM


def test_a_case_that_failed_is_tried_once_more(slow):
    _, first = campaign(slow)
    _, second = campaign(slow, already=pl.concat(first))
    assert pl.concat(second)["m"].to_list() == [STREAM[-1].query.m]
    third, _ = campaign(slow, already=pl.concat(first + second))
    assert (third.skipped, third.measured + third.failed) == (40, 0)


@pytest.mark.parametrize("place", ["device", "backend", "backend_version"])
def test_what_was_measured_elsewhere_does_not_count(slow, place):
    _, batches = campaign(slow, budget_s=15.0)
    elsewhere = pl.concat(batches).with_columns(pl.lit("other").alias(place))
    progress, _ = campaign(slow, already=elsewhere)
    assert progress.skipped == 0


def test_an_interruption_keeps_what_was_measured(slow):
    slow._interrupt_at = STREAM[13]
    progress, batches = campaign(slow)
    assert progress.interrupted
    assert pl.concat(batches).height == progress.measured == 13


def test_an_error_keeps_what_was_measured(slow):
    def cases():
        yield from STREAM[:13]
        raise ValueError("the stream broke")

    batches = []
    with pytest.raises(ValueError, match="the stream broke"):
        campaign(slow, cases(), append=batches.append)
    assert pl.concat(batches).height == 13


def test_a_batch_that_was_refused_is_told_and_not_sent_again(slow):
    sent = []

    def full(batch):
        sent.append(batch)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        campaign(slow, append=full)
    assert len(sent) == 1


def test_progress_is_reported_after_each_case(slow):
    reports = []
    campaign(slow, report=reports.append)
    assert [report.measured + report.failed for report in reports] == list(range(1, 41))


def test_the_bar_shows_the_cases(slow):
    console = Console(record=True, width=100, force_terminal=True)
    with console.capture() as capture, progress_bar(40.0, console) as report:
        campaign(slow, report=report)
    assert "39 cases, 1 failed" in capture.get()
