"""Load on an HTTP server from another process: connections that each ask again once they are answered.

As a program it reads a `Load` as JSON from its standard input and prints a `Felt`; given a port, it serves
`Canned` answers there instead.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any, Final

import httptools
import msgspec

CANNED: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class Load(msgspec.Struct, frozen=True):
    """What to ask, and for how long.

    Attributes:
        port: of the server on this machine.
        path: of the route.
        bodies: of the requests, in JSON; asked one after the other, over and over.
        connections: kept alive, each with one request under way.
        seconds: length of the window; what is under way at its end is waited for and counted.
    """

    port: int
    path: str
    bodies: tuple[str, ...]
    connections: int
    seconds: float


class Felt(msgspec.Struct, frozen=True):
    """What a client felt.

    Attributes:
        seconds: how long it took.
        latency_us: of each request, from sending it to the last byte of its answer.
        statuses: of answers other than 200, as they came.
    """

    seconds: float
    latency_us: list[float]
    statuses: list[int]


class Connection(asyncio.Protocol):
    """One connection, with one request under way at a time."""

    def __init__(self, requests: Sequence[bytes], deadline: float) -> None:
        self._requests = cycle(requests)
        self._deadline = deadline
        self._sent = 0.0
        self.latency_us: list[float] = []
        self.statuses: list[int] = []
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """Read a part of an answer."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Note how long it took, and ask again while there is time; called by the parser."""
        now = time.perf_counter()
        self.latency_us.append((now - self._sent) * 1e6)
        if (status := self._parser.get_status_code()) != 200:
            self.statuses.append(status)
        if now < self._deadline:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end; too early, it counts as an answer of status 0."""
        if time.perf_counter() < self._deadline:
            self.statuses.append(0)
        self.closed.set_result(None)

    def _ask(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))


class Canned(asyncio.Protocol):
    """A server that does nothing: the ceiling of what `press` can ask for."""

    def connection_made(self, transport: Any) -> None:
        """Wait for requests."""
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Answer; called by the parser."""
        self._transport.write(CANNED)


async def press(load: Load) -> Felt:
    """Ask for as long as `load` says."""
    requests = [request_of(load.path, body.encode()) for body in load.bodies]
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    connections = [
        Connection(_shifted(requests, number), started + load.seconds) for number in range(load.connections)
    ]
    for connection in connections:
        await loop.create_connection(partial(_itself, connection), "127.0.0.1", load.port)
    await asyncio.gather(*(connection.closed for connection in connections))
    return Felt(
        time.perf_counter() - started,
        [latency for connection in connections for latency in connection.latency_us],
        [status for connection in connections for status in connection.statuses],
    )


async def answer_nothing(port: int) -> None:
    """Serve `Canned` answers at a port until cancelled."""
    server = await asyncio.get_running_loop().create_server(Canned, "127.0.0.1", port)
    await server.serve_forever()


def request_of(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def _itself(connection: Connection) -> Connection:
    return connection


def _shifted(requests: Sequence[bytes], by: int) -> Sequence[bytes]:
    """The same requests from another start, so that connections do not ask the same at once."""
    start = by * 7 % len(requests)
    return [*requests[start:], *requests[:start]]


def main() -> None:
    """Serve canned answers at the port that was given, or press as standard input says."""
    import uvloop  # noqa: PLC0415 - absent from Windows

    if len(sys.argv) > 1:
        uvloop.run(answer_nothing(int(sys.argv[1])))
    else:
        felt = uvloop.run(press(msgspec.json.decode(sys.stdin.buffer.read(), type=Load)))
        # Where PYTHONUNBUFFERED is set, `sys.stdout` writes only as much as the pipe takes at once.
        with open(sys.stdout.fileno(), "wb", closefd=False) as out:
            out.write(msgspec.json.encode(felt))


if __name__ == "__main__":
    main()
