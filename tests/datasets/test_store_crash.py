"""Writers that are killed lose no acknowledged row and leave no half-written batch."""

import random
import signal
import subprocess
import sys
import time

import polars as pl
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


def test_killed_writers_lose_nothing_that_they_acknowledged(tmp_path):
    """Three writers at once, each killed within an append at a random time, in two rounds."""
    chance = random.Random(0)
    root = tmp_path / "store"
    names = [f"round{r}-writer{w}" for r in range(2) for w in range(3)]
    for first in (0, 3):
        _kill_at_random([_start(root, tmp_path, name) for name in names[first : first + 3]], tmp_path, chance)
    rows = Store(root).scan("kernel").collect()
    for name in names:
        acknowledged = len((tmp_path / name).read_text().splitlines())
        found = sorted(rows.filter(pl.col("origin") == name)["m"])
        # The batch under way when the kill came is there whole or not at all.
        batches = len(found) // ROWS
        assert batches in (acknowledged, acknowledged + 1)
        assert found == list(range(1, 1 + batches * ROWS))


def _start(root, folder, name):
    (folder / name).touch()
    return name, subprocess.Popen([sys.executable, "-c", WRITER, str(root), name, str(folder / name)])


def _kill_at_random(writers, folder, chance):
    deadline = time.monotonic() + 30
    for name, process in writers:
        while not (folder / name).read_text() and time.monotonic() < deadline:
            assert process.poll() is None, "the writer failed by itself"
            time.sleep(0.02)
        time.sleep(chance.uniform(0.0, 0.3))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
