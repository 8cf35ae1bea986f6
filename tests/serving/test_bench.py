"""The protocol `serving`: its load is counted right, and it compares what it says."""

import numpy as np
import pytest

from foretell.serving import bench
from foretell.serving.load import Felt, Load


@pytest.fixture(scope="module")
def canned():
    """A server that does nothing."""
    with bench.canned_server() as server:
        yield server


def test_a_window_counts_every_request_and_lasts_as_long_as_asked(canned):
    felt = bench.press(Load(canned.port, "/", ("{}",), connections=4, seconds=0.3))
    assert felt.statuses == []
    # What is under way at the end is waited for, which a busy machine may keep waiting.
    assert 0.3 <= felt.seconds < 30
    # Four connections are busy all the time but for what the load itself takes.
    assert 0.5 < sum(felt.latency_us) / 1e6 / (4 * felt.seconds) <= 1.0


def test_answers_that_are_no_success_are_counted_as_failed(url):
    port = int(url.rsplit(":", 1)[1])
    felt = bench.press(Load(port, "/v1/predict/tea.time", ("{}",), connections=2, seconds=0.2))
    assert set(felt.statuses) == {404}
    assert bench.figures([felt])["failed"] == len(felt.latency_us)


def test_figures_are_of_all_windows_together():
    windows = [Felt(1.0, [1000.0] * 98, []), Felt(3.0, [5000.0] * 2, [500])]
    assert bench.figures(windows) == {
        "requests": 100, "failed": 1, "requests_per_s": 25.0, "p50_ms": 1.0,
        # Between the 99th and the 100th of 100 requests, which both took 5 ms.
        "p99_ms": pytest.approx(5.0),
    }  # fmt: skip


def test_ratios_say_how_many_times_better():
    felt = {
        ("foretell", 1): [Felt(1.0, [1000.0] * 100, [])],
        ("mlflow", 1): [Felt(1.0, [30_000.0] * 20, [])],
    }
    ratio = bench.compared(1, felt)["ratio"]
    assert ratio == {"requests_per_s": 5.0, "p50_ms": 30.0, "p99_ms": 30.0}


def test_varied_rows_stay_within_a_factor_of_two_and_keep_what_is_no_number():
    rows = bench.varied([{"m": 100, "dtype": "fp8"}, {"m": 1, "dtype": "int8"}], 1000)
    sizes = np.array([row["m"] for row in rows[::2]])
    assert 50 <= sizes.min() < 60
    assert 180 < sizes.max() <= 200
    assert {row["m"] for row in rows[1::2]} == {1}
    assert [row["dtype"] for row in rows[:4]] == ["fp8", "int8", "fp8", "int8"]


@pytest.mark.slow
def test_the_protocol_runs_and_this_server_is_ahead(workspace):
    report = bench.run(window_s=0.5, rounds=1)
    assert report["protocol"] == "serving"
    assert [group["group"] for group in report["groups"]] == [{"rows": 1}, {"rows": 100}]
    for group in report["groups"]:
        assert group["product"]["failed"] == group["peers"]["mlflow"]["failed"] == 0
    # 80 times with one row where the machine is quiet; a short window on a busy one is far from exact.
    assert report["groups"][0]["ratio"]["requests_per_s"] > 1
    assert report["rss_mb"]["ratio"] > 2
    assert report["ceiling"]["requests"] > 0
