"""Timing by a fake clock and fake device events: what the rule does does not depend on this machine."""

import itertools
import math

import numpy as np
import pytest

from foretell.datasets.collectors.timing import CudaTimer, HostTimer, Settle, half_width, time_call
from foretell.errors import InputError


class FakeClock:
    """A clock that moves only when a call is made, by the next of the given durations."""

    def __init__(self, durations_us):
        self.now_ns = 0
        self.calls = 0
        self._durations_us = itertools.cycle(durations_us)

    def __call__(self):
        return self.now_ns

    def call(self):
        self.calls += 1
        self.now_ns += round(next(self._durations_us) * 1e3)


def timed(durations_us, **options):
    clock = FakeClock(durations_us)
    return time_call(clock.call, HostTimer(clock), Settle(**options), clock), clock


def test_a_steady_call_has_its_own_duration_and_no_spread():
    timing, _ = timed([100.0])
    assert (timing.latency_us, timing.spread, timing.settled) == (100.0, 0.0, True)


def test_a_steady_call_stops_at_the_least_time():
    timing, _ = timed([1000.0], min_s=0.01, max_s=1.0, warm_up_s=0.0)
    assert timing.repeats == 10


def test_an_unsteady_call_goes_on_until_the_time_ends_and_says_so():
    timing, clock = timed([100.0, 300.0], max_s=0.05, half_width=0.01, warm_up_s=0.0)
    assert not timing.settled
    # The two calls of the warm-up and the last sample may lie outside of the limit.
    assert 0.05 <= clock.now_ns / 1e9 <= 0.05 + 3 * 300e-6


def test_a_long_call_is_repeated_as_often_as_the_rule_demands():
    timing, _ = timed([1e6], min_repeats=3)
    assert timing.repeats == 3


def test_a_low_quantile_ignores_interruptions():
    interrupted = [100.0] * 7 + [8000.0] * 3
    timing, _ = timed(interrupted, quantile=0.1, max_s=1.0)
    assert timing.latency_us == 100.0


def test_the_spread_is_the_interquartile_range_over_the_median():
    timing, _ = timed([1000.0, 2000.0, 3000.0, 4000.0], max_s=0.1, warm_up_s=0.0, half_width=0.0)
    # Whole cycles of four samples, give or take the last one: quartiles 1750 to 3250 around 2500.
    assert timing.spread == pytest.approx((3250 - 1750) / 2500, abs=0.15)


def test_a_short_call_is_repeated_within_a_sample():
    timing, _ = timed([2.0], sample_us=50.0)
    assert (timing.calls_per_repeat, timing.latency_us) == (25, 2.0)


def test_the_first_slow_call_does_not_count():
    clock = FakeClock([5000.0, *[100.0] * 100_000])
    timing = time_call(clock.call, HostTimer(clock), Settle(), clock)
    assert (timing.latency_us, timing.spread) == (100.0, 0.0)


def test_the_interval_covers_the_quantile_as_often_as_it_says():
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(2000, 200))
    median = math.log(2)
    inside = 0
    for row in samples:
        ordered, reach = np.sort(row), 1.96 * math.sqrt(200 * 0.25)
        low, high = ordered[math.floor(100 - reach)], ordered[math.ceil(100 + reach)]
        assert half_width(row, 0.5) == pytest.approx((high - low) / 2 / np.median(row))
        inside += low <= median <= high
    # Rounding the ranks outwards widens the interval to 95.5 to 97.5 %; 2000 draws scatter it by 0.5 %.
    assert 0.94 <= inside / 2000 <= 0.985


def test_too_few_samples_for_an_upper_bound_never_count_as_settled():
    assert half_width([1.0, 1.0, 1.0], 0.9) == math.inf


@pytest.mark.parametrize(
    "options", [{"quantile": 0.0}, {"quantile": 1.0}, {"min_repeats": 0}, {"min_s": 2.0, "max_s": 1.0}]
)
def test_a_rule_without_sense_is_refused(options):
    with pytest.raises(InputError):
        Settle(**options)


def test_the_overhead_of_the_clock_is_measured():
    clock = iter(range(0, 10**9, 70))
    assert HostTimer(lambda: next(clock)).overhead_us() == pytest.approx(0.07)


@pytest.mark.parametrize("calls", [1, 50])
def test_device_events_time_one_call_of_the_replayed_graph(calls, make_cuda):
    cuda = make_cuda(call_ms=0.004)
    sample = CudaTimer(cuda).prepare(cuda.call, calls)
    # Events are in ms and float64: the division leaves nothing but rounding.
    assert sample() == pytest.approx(4.0, rel=1e-9)
    assert sample() == pytest.approx(4.0, rel=1e-9)


def test_the_capturing_stream_is_warmed_up_between_two_waits(make_cuda):
    cuda = make_cuda(call_ms=0.004)
    CudaTimer(cuda).prepare(cuda.call, 2)
    assert cuda.log == ["wait", "wait"]
