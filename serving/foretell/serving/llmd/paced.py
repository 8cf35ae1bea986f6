"""A client that sends at given moments, answered or not: what waits is felt as waiting."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

HEAD: Final = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"


@dataclass(slots=True)
class Felt:
    """What a paced client felt: milliseconds from the moment due to the last byte, bodies, and statuses."""

    ms: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)


async def paced(
    port: int, path: str, bodies: Sequence[bytes], per_s: float, seconds: float, *, connections: int = 8
) -> Felt:
    """Send the bodies in turns at a steady rate."""
    felt = Felt()
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    begun = time.perf_counter()

    async def one(number: int) -> None:
        due = begun + number / per_s
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        reader, writer = await free.get()
        status, body = await _ask(reader, writer, path, bodies[number % len(bodies)])
        felt.ms.append((time.perf_counter() - due) * 1e3)
        felt.bodies.append(body)
        felt.statuses.append(status)
        free.put_nowait((reader, writer))

    await asyncio.gather(*(one(number) for number in range(int(per_s * seconds))))
    while not free.empty():
        free.get_nowait()[1].close()
    return felt


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, body: bytes
) -> tuple[int, bytes]:
    writer.write(HEAD % (path.encode(), len(body)) + body)
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
    return int(head[9:12]), await reader.readexactly(length)
