"""The journal: what was acknowledged is read back, whatever happened to the file's end."""

import asyncio
import errno
import os

import numpy as np
import pytest

from foretell.datasets.store import Store
from foretell.errors import UnavailableError
from foretell.features.request import COLUMN
from foretell.serving.llmd import archive
from foretell.serving.llmd.journal import WIDTH, Journal, Record, encode, read_segment, segments


def record(rows=3, pool="", seed=0):
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 100, (rows, WIDTH)).astype(float)
    samples[:, [COLUMN["prefix_hit"], COLUMN["kv_fraction"]]] = 0.5
    samples[:, COLUMN["role"]] = 0.0
    samples[:, COLUMN["decoding"]] = samples[:, COLUMN["running"]]
    samples[:, -3:] = [0.25, np.nan, 1.7e9]
    return Record(pool, samples)


def write(folder, records):
    async def append():
        journal = Journal(folder)
        await asyncio.gather(*(journal.append(encode(each)) for each in records))
        return journal

    return asyncio.run(append())


def test_what_was_acknowledged_is_read_back(tmp_path):
    records = [record(seed=seed, pool=f"p{seed}") for seed in range(5)]
    write(tmp_path, records)
    (path,) = segments(tmp_path)
    for read, written in zip(read_segment(path), records, strict=True):
        assert read.pool == written.pool
        np.testing.assert_array_equal(read.samples, written.samples)


@pytest.mark.parametrize("cut", [1, 7, 9, 100])
def test_a_torn_end_loses_only_what_was_not_whole(tmp_path, cut):
    write(tmp_path, [record(seed=1), record(seed=2)])
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert len(list(read_segment(path))) == 1


def test_a_full_disk_is_told_and_hides_nothing_that_was_kept(tmp_path, monkeypatch):
    real = os.write
    full = False

    def write_half(file, content):
        if not full:
            return real(file, content)
        real(file, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario():
        nonlocal full
        journal = Journal(tmp_path)
        await journal.append(encode(record(seed=1)))
        full = True
        with pytest.raises(UnavailableError, match="No space"):
            await journal.append(encode(record(seed=2)))
        assert "No space" in journal.problem
        full = False
        await journal.append(encode(record(seed=3)))
        assert journal.problem == ""

    monkeypatch.setattr(os, "write", write_half)
    asyncio.run(scenario())
    (path,) = segments(tmp_path)
    assert [read.samples[0, 0] for read in read_segment(path)] == [
        record(seed=seed).samples[0, 0] for seed in (1, 3)
    ]


def test_a_segment_reaches_the_store_once_and_comes_back(tmp_path):
    write(tmp_path / "journal", [record(seed=1, pool="a"), record(seed=2, pool="b")])
    (path,) = segments(tmp_path / "journal")
    content = path.read_bytes()
    store = Store(tmp_path / "store")
    assert archive.to_store(path, store) == 6
    path.write_bytes(content)  # as if the process had ended before the segment was removed
    archive.to_store(path, store)
    back = {held.pool: held.samples for held in archive.from_store(store, since_s=0.0)}
    assert set(back) == {"a", "b"}
    np.testing.assert_allclose(back["a"], record(seed=1).samples, rtol=1e-12)  # milliseconds and back
    assert archive.from_store(store, since_s=1.8e9) == []
