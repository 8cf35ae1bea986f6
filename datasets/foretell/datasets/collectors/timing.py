"""Timing a call on a noisy machine: timers by device type, and the rule that says when it has settled.

What is reported is a low quantile of the repeats on a CPU, which other work interrupts, and the median on an
accelerator, which runs one queue. Interruptions only ever add time, so the low quantile is the latency of an
undisturbed call; the spread is kept beside it. Calls longer than the scheduler's slice (a few ms) are seldom
left undisturbed on a machine with more work than cores: no quantile helps those, a bound on their size does.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final, Protocol

import numpy as np

from foretell.datasets.collectors.base import Timing
from foretell.errors import InputError

Call = Callable[[], object]
ClockNs = Callable[[], int]
Sample = Callable[[], float]
"""Runs its calls once and returns the time of one of them, us."""

Z_95: Final = 1.96
GROWTH: Final = 1.25
"""Repeats are added in batches of this ratio, so that checking for rest costs little of the time."""


@dataclass(frozen=True, slots=True)
class Settle:
    """When a timing has settled.

    Repeats go on until the 95 % confidence interval of the quantile (distribution-free, from order
    statistics) is narrower than ± `half_width` of it, but for `min_s` at least, so that one quiet or busy
    moment does not decide, and for `max_s` or `max_repeats` at most.

    Attributes:
        quantile: which quantile of the repeats is the latency.
        half_width: relative half-width of its confidence interval that counts as settled.
        min_repeats: samples taken even where they exceed `max_s`.
        max_repeats: most samples taken.
        min_s: shortest time spent on samples.
        max_s: time after which no further sample is begun.
        warm_up_s: time spent on calls that are not counted; two calls at least.
        sample_us: calls shorter than this are repeated inside one sample.
    """

    quantile: float = 0.5
    half_width: float = 0.02
    min_repeats: int = 5
    max_repeats: int = 2000
    min_s: float = 0.01
    max_s: float = 0.06
    warm_up_s: float = 0.004
    sample_us: float = 50.0

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1:
            raise InputError("quantile", self.quantile, "a number in (0, 1)")
        if not 1 <= self.min_repeats <= self.max_repeats:
            raise InputError("min_repeats", self.min_repeats, f"1 to {self.max_repeats}")
        if not 0 <= self.min_s <= self.max_s:
            raise InputError("min_s", self.min_s, f"0 to {self.max_s} s")


CPU_RULE: Final = Settle(quantile=0.1)
CUDA_RULE: Final = Settle(quantile=0.5, sample_us=200.0)


class Timer(Protocol):
    """Times calls on one type of device."""

    def prepare(self, call: Call, calls: int) -> Sample:
        """Make a sample of `calls` calls in a row."""
        ...


@dataclass(frozen=True, slots=True)
class HostTimer:
    """Times calls that return when their work is done. Python's own cost of calling is part of the time."""

    clock_ns: ClockNs = time.perf_counter_ns

    def prepare(self, call: Call, calls: int) -> Sample:
        """Make a sample that reads the clock before and after `calls` calls."""

        def sample() -> float:
            start_ns = self.clock_ns()
            for _ in repeat(None, calls):
                call()
            return (self.clock_ns() - start_ns) / calls / 1e3

        return sample

    def overhead_us(self) -> float:
        """What timing adds to one call at most: the median time of an empty call, clock included."""
        sample = self.prepare(_nothing, 1)
        return float(np.median([sample() for _ in range(101)]))


def _nothing() -> None:
    """Do nothing: what a call costs without its work."""


@dataclass(frozen=True, slots=True)
class CudaTimer:
    """Times work on the current CUDA stream by device events around a replayed CUDA graph.

    The graph takes the cost of launching from Python out of the time, which is what the device spends.

    Attributes:
        cuda: the module `torch.cuda`, or a double of it.
    """

    cuda: Any

    def prepare(self, call: Call, calls: int) -> Sample:
        """Capture `calls` calls in a graph; a sample replays it between two events."""
        graph = self._capture(call, calls)
        start = self.cuda.Event(enable_timing=True)
        end = self.cuda.Event(enable_timing=True)

        def sample() -> float:
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end)) * 1e3 / calls

        return sample

    def _capture(self, call: Call, calls: int) -> Any:
        """Warm up on the stream that captures, as libraries make their handles and workspaces there."""
        stream = self.cuda.Stream()
        stream.wait_stream(self.cuda.current_stream())
        with self.cuda.stream(stream):
            call()
        self.cuda.current_stream().wait_stream(stream)
        graph = self.cuda.CUDAGraph()
        with self.cuda.graph(graph, stream=stream):
            for _ in repeat(None, calls):
                call()
        return graph


def time_call(call: Call, timer: Timer, rule: Settle, clock_ns: ClockNs = time.perf_counter_ns) -> Timing:
    """Time `call` until it settles by `rule`; `clock_ns` is the clock of the time limits."""
    single = timer.prepare(call, 1)
    estimate_us = _warm_up(single, rule, clock_ns)
    calls = max(1, math.ceil(rule.sample_us / estimate_us))
    sample = single if calls == 1 else timer.prepare(call, calls)
    samples_us, settled = _collect(sample, rule, clock_ns)
    q1, median, q3 = np.quantile(samples_us, (0.25, 0.5, 0.75))
    latency_us = float(np.quantile(samples_us, rule.quantile))
    return Timing(latency_us, float((q3 - q1) / median), len(samples_us), calls, settled)


def _warm_up(sample: Sample, rule: Settle, clock_ns: ClockNs) -> float:
    """Run until warm; the fastest call seen, us, and one nanosecond at least."""
    end_ns = clock_ns() + rule.warm_up_s * 1e9
    fastest_us = min(sample(), sample())
    while clock_ns() < end_ns:
        fastest_us = min(fastest_us, sample())
    return max(fastest_us, 1e-3)


def _collect(sample: Sample, rule: Settle, clock_ns: ClockNs) -> tuple[list[float], bool]:
    start_ns = clock_ns()
    samples_us: list[float] = []
    next_check = rule.min_repeats
    while True:
        samples_us.append(sample())
        elapsed_s = (clock_ns() - start_ns) / 1e9
        if len(samples_us) < rule.min_repeats:
            continue
        if elapsed_s >= rule.max_s or len(samples_us) >= rule.max_repeats:
            return samples_us, half_width(samples_us, rule.quantile) <= rule.half_width
        if elapsed_s >= rule.min_s and len(samples_us) >= next_check:
            if half_width(samples_us, rule.quantile) <= rule.half_width:
                return samples_us, True
            next_check = math.ceil(len(samples_us) * GROWTH)


def half_width(samples: Sequence[float], quantile: float) -> float:
    """Relative half-width of the quantile's 95 % confidence interval.

    The interval is the distribution-free one between order statistics (binomial, normal approximation; see
    Conover, Practical Nonparametric Statistics, 3.2). Where it would reach beyond the smallest sample, that
    sample bounds it: a latency has a floor. Where it would reach beyond the largest one, it is infinite.
    """
    ordered = sorted(samples)
    count = len(ordered)
    reach = Z_95 * math.sqrt(count * quantile * (1 - quantile))
    low, high = math.floor(count * quantile - reach), math.ceil(count * quantile + reach)
    if high >= count:
        return math.inf
    return (ordered[high] - ordered[max(low, 0)]) / 2 / float(np.quantile(ordered, quantile))
