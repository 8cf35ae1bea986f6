"""What is looked for in published tables: each check finds what was put there, and is silent otherwise."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from foretell.datasets.sources.clock import coarse_clock
from foretell.datasets.sources.modes import two_modes
from foretell.datasets.sources.repeats import AGREEING, remeasured, repeated
from foretell.datasets.sources.throttle import throttled

TABLE = ("device", "dtype")


def checks(notes):
    return [(note.check, note.table) for note in notes]


def power(watts):
    """One table whose power along m is given."""
    return pl.DataFrame({"device": "a", "dtype": "b", "n": 1, "m": range(len(watts)), "power_w": watts})


def test_power_that_alternates_is_two_modes():
    notes = two_modes(power([200.0, 400.0] * 20), TABLE, ["n"], "m")
    assert checks(notes) == [("two_modes", "a/b")]


@pytest.mark.parametrize(
    "watts",
    [
        [200.0 + 10 * m for m in range(40)],
        [200.0] * 20 + [400.0] * 20,
        [200.0 * (1.2 if m % 2 else 1.0) for m in range(40)],
        [None] * 40,
        [],
    ],
    ids=["rising", "one step", "noise of a fifth", "not measured", "nothing"],
)
def test_power_without_many_lone_peaks_is_one_mode(watts):
    assert not two_modes(power(watts).cast({"power_w": pl.Float64}), TABLE, ["n"], "m")


def test_modes_are_looked_for_within_a_site():
    """Two sites of different power, interleaved by m, are no modes."""
    sites = [power([watts] * 20).with_columns(n=site) for site, watts in ((1, 200.0), (2, 500.0))]
    assert not two_modes(pl.concat(sites, how="vertical_relaxed"), TABLE, ["n"], "m")


def test_whole_microseconds_are_a_coarse_clock_for_short_times():
    times = pl.DataFrame({"device": "a", "dtype": "b", "us": np.arange(3.0, 200.0)})
    (note,) = coarse_clock(times, TABLE, "us")
    # Of 3 to 199 us those under 50 us err by more than 1 % if they are half a microsecond off.
    assert (note.check, note.evidence.split(";")[1]) == (
        "coarse_clock",
        " for 47 rows half of that is over 1 %",
    )


@pytest.mark.parametrize("times", [np.arange(3.0, 200.0) + 0.137, np.arange(1e4, 2e4), []])
def test_fine_clocks_and_long_times_are_not_coarse(times):
    frame = pl.DataFrame({"us": times}, schema={"us": pl.Float64}).with_columns(
        device=pl.lit("a"), dtype=pl.lit("b")
    )
    assert not coarse_clock(frame, TABLE, "us")


def products(device, rate, slow_down=1.0):
    """Products at some share of 1 TFLOP/s; the largest tenth at `slow_down` of it."""
    operations = np.geomspace(1e9, 1e12, 200)
    share = np.where(operations >= np.quantile(operations, 0.9), slow_down, 1.0)
    us = operations / (rate * share * 1e12) * 1e6
    return pl.DataFrame({"device": device, "dtype": "float32", "operations": operations, "latency_us": us})


PEAK = SimpleNamespace(peak_flops=lambda dtype: 1e12)


def test_device_that_slows_down_and_falls_behind_is_throttled():
    rows = pl.concat([products("hot", 0.8, 0.3), products("cool", 0.8), products("cold", 0.7)])
    notes = throttled(rows, ("device",), dict.fromkeys(("hot", "cool", "cold"), PEAK))
    assert checks(notes) == [("throttled", "hot")]
    assert notes[0].evidence.startswith(
        "the largest products run at 24% of the peak and 30% of this table's best"
    )


def test_device_that_is_slow_throughout_is_not_throttled():
    rows = pl.concat([products("slow", 0.2), products("cool", 0.8)])
    assert not throttled(rows, ("device",), dict.fromkeys(("slow", "cool"), PEAK))


def test_device_that_slows_down_to_what_others_do_is_not_throttled():
    rows = pl.concat([products("fast", 0.9, 0.45), products("slow", 0.5)])
    assert not throttled(rows, ("device",), dict.fromkeys(("fast", "slow"), PEAK))


def repeats(values):
    return pl.DataFrame({"device": "a", "dtype": "b", "m": 1, "us": values})


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ([1.0], [None]),
        ([1.0, 1.0], [None, "duplicate"]),
        ([1.0, AGREEING * 0.99], [None, None]),
        ([1.0, 1.1, 1.0], [None, None, "duplicate"]),
        ([1.0, 1.0, AGREEING * 1.01], ["contradicting_duplicate"] * 3),
    ],
)
def test_repeats_are_kept_as_long_as_they_agree(values, rules):
    assert repeated(repeats(values), ("device", "m"), "us").to_list() == rules


def test_repeats_that_agree_are_noted():
    rows = pl.concat([repeats([1.0, 1.1]), repeats([3.0]).with_columns(m=2)], how="vertical_relaxed")
    (note,) = remeasured(rows, (*TABLE, "m"), TABLE, "us")
    assert note.evidence == "1 shapes were measured more than once, in the median 10.0% apart"
