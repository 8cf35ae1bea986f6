"""Samples that were accepted, on disk before anyone is told so.

Appends that come while the disk is busy are written together with one flush. A segment is closed after a
minute or `SEGMENT_BYTES`, and never written again; the trainer moves closed segments into the store. A record
that was not whole when the machine stopped was never acknowledged, and is passed over.
"""

import asyncio
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from foretell.errors import UnavailableError
from foretell.features.base import Array
from foretell.features.request import STATE
from foretell.serving.llmd.rows import OUTCOMES

SUFFIX: Final = ".journal"
SEGMENT_BYTES: Final = 8 * 2**20
SEGMENT_S: Final = 60.0
HEAD: Final = struct.Struct("<II")
"""Length and CRC-32 of a record's payload."""
WIDTH: Final = len(STATE) + len(OUTCOMES)


class Record(NamedTuple):
    """Samples of one pool, accepted together; `samples` has shape (rows, `WIDTH`)."""

    pool: str
    samples: Array


def encode(record: Record) -> bytes:
    """A record as it stands in a segment."""
    payload = msgspec.msgpack.encode((record.pool, np.ascontiguousarray(record.samples).tobytes()))
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def decode(payload: bytes) -> Record:
    """A record from its payload."""
    pool, content = msgspec.msgpack.decode(payload, type=tuple[str, bytes])
    return Record(pool, np.frombuffer(content).reshape(-1, WIDTH))


def read_segment(path: Path) -> Iterator[Record]:
    """All whole records of a segment, up to the first that is not."""
    content = path.read_bytes()
    start = 0
    while start + HEAD.size <= len(content):
        length, checksum = HEAD.unpack_from(content, start)
        payload = content[start + HEAD.size : start + HEAD.size + length]
        if len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield decode(payload)
        start += HEAD.size + length


def segments(folder: Path) -> list[Path]:
    """Segments that are there, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


class Journal:
    """Appends to segments in a folder; belongs to one event loop.

    Args:
        folder: of the segments; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._path = folder
        self._written = 0
        self._opened_s = 0.0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self.problem = ""
        self.closed: asyncio.Queue[Path] = asyncio.Queue()

    async def append(self, records: bytes) -> None:
        """Return once the encoded records are on disk.

        Raises:
            UnavailableError: they could not be written, such as on a full disk; none of them is kept.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((records, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        await done

    def rotate(self, older_than_s: float = SEGMENT_S) -> None:
        """Close a segment that is old enough, so that its samples reach the store."""
        if self._file >= 0 and not self._busy() and time.monotonic() - self._opened_s > older_than_s:
            self._close()

    def _busy(self) -> bool:
        return self._writer is not None and not self._writer.done()

    async def _write_all(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting, []
            content = b"".join(records for records, _ in together)
            try:
                await asyncio.to_thread(self._write, content)
                problem = None
                self.problem = ""
            except OSError as error:
                problem = UnavailableError(f"cannot keep samples in {self._folder}: {error.strerror}")
                self.problem = str(problem)
            for _, done in together:
                if done.cancelled():
                    continue
                if problem is None:
                    done.set_result(None)
                else:
                    done.set_exception(problem)
            if self._file >= 0 and self._written > SEGMENT_BYTES:
                self._close()

    def _write(self, content: bytes) -> None:
        if self._file < 0:
            self._open()
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError:
            # What was half written would hide all that comes after it.
            os.ftruncate(self._file, self._written)
            os.lseek(self._file, self._written, os.SEEK_SET)
            raise
        self._written += len(content)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{time.time_ns():020d}{SUFFIX}"
        self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._written = 0
        self._opened_s = time.monotonic()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1
        self.closed.put_nowait(self._path)
