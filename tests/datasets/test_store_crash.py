"""Writers that are killed lose no acknowledged row and leave no half-written batch."""

import random
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from foretell.datasets.store import Store

ROWS = 7
WRITER = f"""
import os, sys
from pathlib import Path
import polars as pl
from foretell.datasets.store import Store

root, name = Path(sys.argv[1]), sys.argv[2]
acknowledged = os.open(sys.argv[3], os.O_WRONLY | os.O_CREAT)
for batch in range(100_000):
    m = range(1 + batch * {ROWS}, 1 + (batch + 1) * {ROWS})
    Store(root).append("kernel", pl.DataFrame({{"m": m}}).with_columns(
        operator=pl.lit("gemm"), n=64, k=64, dtype=pl.lit("float32"), device=pl.lit("cpu"),
        backend=pl.lit("torch"), backend_version=pl.lit("2"), status=pl.lit("ok"), latency_us=1.5,
        energy_reason=pl.lit("no meter"), origin=pl.lit(name),
    ))
    # One call: a line is in the file whole or not at all, and outlives this process.
    os.write(acknowledged, f"{{batch}}\\n".encode())
"""


@pytest.fixture
def start(tmp_path):
    """Start a writer by name; its acknowledgements go to a file of that name. None outlives the test."""
    started = []

    def start_writer(root, name):
        (tmp_path / name).touch()
        command = [sys.executable, "-P", "-c", WRITER, str(root), name, str(tmp_path / name)]
        started.append(subprocess.Popen(command))
        return started[-1]

    yield start_writer
    for process in started:
        process.kill()
        process.wait()


def test_killed_writers_lose_nothing_that_they_acknowledged(start, tmp_path):
    """Three writers at once, each killed at a random time, in two rounds; a reader looks on throughout."""
    chance = random.Random(0)
    store = Store(tmp_path / "store")
    names = [f"round{r}-writer{w}" for r in range(2) for w in range(3)]
    for first in (0, 3):
        writers = {name: start(store.root, name) for name in names[first : first + 3]}
        for name, process in writers.items():
            _read_until(lambda name=name: (tmp_path / name).read_text(), store, process, timeout_s=30)
            end = time.monotonic() + chance.uniform(0.0, 0.4)
            _read_until(lambda end=end: time.monotonic() > end, store, process, timeout_s=30)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
    rows = store.scan("kernel").collect()
    for name in names:
        acknowledged = len((tmp_path / name).read_text().splitlines())
        found = sorted(rows.filter(pl.col("origin") == name)["m"])
        # The batch under way when the kill came is there whole or not at all.
        batches = len(found) // ROWS
        assert batches in (acknowledged, acknowledged + 1)
        assert found == list(range(1, 1 + batches * ROWS))


def _read_until(done, store, process, timeout_s):
    """Scan until `done`; every batch that is visible at any time must be whole."""
    end = time.monotonic() + timeout_s
    while not done() and time.monotonic() < end:
        assert process.poll() is None, "the writer ended by itself"
        per_writer = store.scan("kernel").group_by("origin").len().collect()["len"]
        assert all(rows % ROWS == 0 for rows in per_writer)
