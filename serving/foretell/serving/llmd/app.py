"""The protocol over HTTP: one ASGI application for each of its two servers."""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from foretell.errors import ForetellError
from foretell.serving.http import JSON, body_of, reply
from foretell.serving.llmd.metrics import Metrics
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.read import refused
from foretell.serving.refusals import MethodError, RouteError, TokenError, status_of

OPEN: Final = ("/healthz", "/readyz")
"""Paths that probes ask without a token."""
THREAD_BODY_BYTES: Final = 128 * 2**10
"""A longer body, of some 400 rows, is answered in a thread and keeps nobody waiting."""
HUNG_UP: Final = 499
"""What counts as the status of a request whose client has gone."""

Answer = tuple[int, bytes, bytes]
"""Status, content type, content."""
Handler = Callable[[bytes], Awaitable[Answer]]
Found = tuple[str, dict[str, Handler]]
"""A route's name and its handlers by method."""


class Application:
    """Routes, errors and metrics around handlers that only answer.

    Args:
        find: the route of a path, or null.
        metrics: counts requests.
        options: limits.
    """

    def __init__(self, find: Callable[[str], Found | None], metrics: Metrics, options: Options) -> None:
        self._find = find
        self._metrics = metrics
        self._options = options
        self._bearer = f"Bearer {options.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        status = 500
        route = "other"

        async def observed(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            found = self._find(scope["path"])
            route = found[0] if found else route
            answered = await self._answer(found, scope, receive)
            await reply(observed, *answered)
        except ForetellError as error:
            await refuse(observed, error)
        except ClientDisconnect:
            status = HUNG_UP
        finally:
            self._metrics.observe(route, status, time.perf_counter() - started)

    async def _answer(self, found: Found | None, scope: Scope, receive: Receive) -> Answer:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if self._options.token and scope["path"] not in OPEN:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._bearer):
                raise TokenError("authorization", "", "Bearer and the token of this server")
        if found is None:
            raise RouteError("path", scope["path"], "a path of the protocol")
        handler = found[1].get(scope["method"])
        if handler is None:
            raise MethodError(scope["method"], ", ".join(sorted(found[1])))
        return await handler(await body_of(headers, receive, self._options.max_body_bytes))


async def refuse(send: Send, error: ForetellError) -> None:
    """Answer with an error."""
    headers = []
    if isinstance(error, MethodError):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, TokenError):
        headers.append((b"www-authenticate", b"Bearer"))
    await reply(send, status_of(error), JSON, refused(error), headers)


def in_thread_if_long(answer: Callable[[bytes], bytes]) -> Handler:
    """A handler that answers long bodies in a thread."""

    async def handler(body: bytes) -> Answer:
        if len(body) > THREAD_BODY_BYTES:
            return 200, JSON, await asyncio.to_thread(answer, body)
        return 200, JSON, answer(body)

    return handler
