"""Runs a collector over a stream of cases within a time budget; what was measured is kept."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import polars as pl

from foretell.datasets.collectors.base import Case, Collector, Measurement, Provenance
from foretell.datasets.collectors.rows import kernel_rows
from foretell.datasets.collectors.timing import ClockNs
from foretell.datasets.kernel import FIELDS

Append = Callable[[pl.DataFrame], object]
"""Takes rows of the kind `kernel` and returns when they are safe, such as `Store.append` of that kind."""

FLUSH_S: Final = 10.0
"""Longest time that a measurement waits to be appended: what a killed process can lose."""
CASE: Final = ("operator", *FIELDS, "dtype")
"""Columns that name a case; null where its operator has no such field."""
PLACE: Final = ("device", "backend", "backend_version")

TRIES: Final = 2
"""How often a case may fail, in campaigns one after the other, until it counts as done."""

C = TypeVar("C", bound=Case)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is.

    Attributes:
        measured: cases that ran.
        failed: cases that failed, each with a row that says why.
        skipped: cases that an earlier campaign had run already.
        elapsed_s: time spent.
        interrupted: whether it was stopped from the keyboard; what it had measured was kept.
    """

    measured: int = 0
    failed: int = 0
    skipped: int = 0
    elapsed_s: float = 0.0
    interrupted: bool = False


def run(
    collector: Collector[C],
    cases: Iterable[C],
    *,
    append: Append,
    budget_s: float,
    already: pl.DataFrame | None = None,
    report: Callable[[Progress], object] = lambda _: None,
    clock_ns: ClockNs = time.perf_counter_ns,
) -> Progress:
    """Measure cases until the budget is spent, the stream ends or the user interrupts.

    Args:
        collector: measures the cases.
        cases: may be unlimited; the same stream as before resumes a campaign, as cases in `already` are
            skipped, but for those that failed only once.
        append: is given the rows, at least every `FLUSH_S` and at the end.
        budget_s: no case is begun after it; the last one may end past it.
        already: rows of earlier campaigns; those of another device, backend or version do not count.
        report: told after each case.
        clock_ns: monotonic clock.

    Raises:
        UnavailableError: the collector cannot run here, and why.
    """
    done = _keys(already, collector.provenance())
    start_ns, progress = clock_ns(), Progress()

    def elapsed_s() -> float:
        return (clock_ns() - start_ns) / 1e9

    with _batches(append, clock_ns) as keep:
        try:
            for case in cases:
                if elapsed_s() >= budget_s:
                    break
                if case_key(case) in done:
                    progress = replace(progress, skipped=progress.skipped + 1)
                    continue
                measurement = collector.measure(case)
                keep(measurement)
                progress = _after(progress, measurement, elapsed_s())
                report(progress)
        except KeyboardInterrupt:
            progress = replace(progress, interrupted=True)
    return replace(progress, elapsed_s=elapsed_s())


def _after(progress: Progress, measurement: Measurement, elapsed_s: float) -> Progress:
    if measurement.status == "ok":
        return replace(progress, measured=progress.measured + 1, elapsed_s=elapsed_s)
    return replace(progress, failed=progress.failed + 1, elapsed_s=elapsed_s)


@contextmanager
def _batches(append: Append, clock_ns: ClockNs) -> Iterator[Callable[[Measurement], None]]:
    """Hand measurements over in batches; what is left goes when the block ends, however it ends."""
    waiting: list[Measurement] = []
    last_ns = clock_ns()

    def flush() -> None:
        nonlocal last_ns
        batch = kernel_rows(waiting)
        waiting.clear()  # first, so that a batch that was refused is not handed over again at the end
        last_ns = clock_ns()
        append(batch)

    def keep(measurement: Measurement) -> None:
        waiting.append(measurement)
        if (clock_ns() - last_ns) / 1e9 >= FLUSH_S:
            flush()

    try:
        yield keep
    finally:
        if waiting:
            flush()


def case_key(case: Case) -> tuple[object, ...]:
    """Values of the columns `CASE`."""
    columns = case.columns()
    return tuple(columns.get(name) for name in CASE)


def _keys(already: pl.DataFrame | None, provenance: Provenance) -> set[tuple[object, ...]]:
    if already is None:
        return set()
    here = provenance.columns()
    same_place = pl.all_horizontal(pl.col(name) == here[name] for name in PLACE)
    # A failure may have been the moment's, such as memory that another program held: a case has two tries.
    settled = (pl.col("status") == "ok").any() | (pl.len() >= TRIES)
    done = already.filter(same_place).group_by(CASE).agg(settled=settled).filter("settled")
    return set(done.select(CASE).iter_rows())
