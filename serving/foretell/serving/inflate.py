"""How long the messages of an Arrow IPC stream become, found out before any of them is inflated.

A stream of a megabyte may hold gigabytes of zeros. Each compressed buffer begins with the length that it has
once inflated; where the buffers are is said by the message's metadata, a FlatBuffers table
(https://arrow.apache.org/docs/format/Columnar.html, https://flatbuffers.dev/internals), which pyarrow does
not show.
"""

import struct
from typing import Any, Final

import pyarrow as pa

HEADER: Final = 2
"""Slot of a message's table that leads to its record batch or dictionary batch."""
DATA: Final = 1
"""Slot of a dictionary batch that leads to its record batch."""
BUFFERS, COMPRESSION = 2, 3
"""Slots of a record batch."""
PLACE: Final = struct.Struct("<qq")
"""Offset within the message's body and length of one buffer."""


def inflated_bytes(stream: bytes) -> int:
    """Length of all compressed buffers of a stream once inflated, as they say themselves.

    Raises:
        pyarrow.ArrowException: a stream that is damaged.
        struct.error: metadata that lead out of themselves.
    """
    return sum(map(_inflated_bytes, pa.ipc.MessageReader.open_stream(pa.BufferReader(stream))))


def _inflated_bytes(message: Any) -> int:
    if message.type == "schema":
        return 0
    metadata, body = memoryview(message.metadata), memoryview(message.body)
    batch = _table(metadata, _unsigned(metadata, 0), HEADER)
    if message.type == "dictionary":
        batch = _table(metadata, batch, DATA)
    if not _slot(metadata, batch, COMPRESSION):
        return 0
    buffers = _table(metadata, batch, BUFFERS)
    places = (
        PLACE.unpack_from(metadata, buffers + 4 + number * PLACE.size)
        for number in range(_unsigned(metadata, buffers))
    )
    # -1 stands for a buffer that was left as it was.
    return sum(max(0, struct.unpack_from("<q", body, offset)[0]) for offset, length in places if length)


def _slot(metadata: memoryview, table: int, slot: int) -> int:
    """Where a field of a table lies; 0 where it is left out."""
    vtable = table - struct.unpack_from("<i", metadata, table)[0]
    (size,) = struct.unpack_from("<H", metadata, vtable)
    if 4 + 2 * slot >= size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, vtable + 4 + 2 * slot)
    return table + int(offset) if offset else 0


def _table(metadata: memoryview, table: int, slot: int) -> int:
    """Where the table or vector lies that a field leads to."""
    field = _slot(metadata, table, slot)
    return field + _unsigned(metadata, field)


def _unsigned(metadata: memoryview, place: int) -> int:
    return int(struct.unpack_from("<I", metadata, place)[0])
