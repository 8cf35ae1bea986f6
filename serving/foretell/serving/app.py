"""The REST application."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from anyio import to_thread
from msgspec.structs import replace
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route, Router
from starlette.types import Message, Receive, Scope, Send

from foretell.errors import ForetellError
from foretell.serving.champions import Champions
from foretell.serving.http import JSON, bears, reply
from foretell.serving.metrics import Metrics
from foretell.serving.options import DEFAULTS, Options
from foretell.serving.predict import PREFIX, Predict
from foretell.serving.refusals import MethodError, RouteError, TokenError, refusal_of, status_of
from foretell.serving.routes import Routes

OPTIONS: Final = "FORETELL_SERVE"
"""Environment variable by which `foretell.serving.server` hands options to its workers."""
TOKEN: Final = "FORETELL_TOKEN"  # noqa: S105 - the name of a variable
OPEN: Final = ("/healthz", "/readyz")
"""Paths that probes ask without a token."""
PREDICT: Final = PREFIX + "{target}"
HUNG_UP: Final = 499
"""What counts as the status of a request whose client has gone; nginx counts likewise."""
IDLE_SHARE: Final = 5
"""After a look for champions that found nothing new, how many times as long as it took until the next."""


def create_app(options: Options = DEFAULTS) -> "Application":
    """The application, to be run by an ASGI server; it loads champions when the server starts it."""
    champions = Champions(options)
    metrics = Metrics(champions)
    return Application(champions, metrics, options)


def from_environment() -> "Application":
    """The application with the options that `foretell.serving.server` put into the environment."""
    options = msgspec.json.decode(os.environ.get(OPTIONS, "{}"), type=Options)
    return create_app(replace(options, token=os.environ.get(TOKEN, "")))


class Application:
    """Routes, errors and metrics around handlers that only answer.

    Args:
        champions: the models.
        metrics: counts requests.
        options: limits and habits.
    """

    def __init__(self, champions: Champions, metrics: Metrics, options: Options) -> None:
        self._champions = champions
        self._metrics = metrics
        self._options = options
        self._predict = Predict(champions, metrics, options)
        others = Routes(champions, metrics, options).routes()
        self._known = {route.path for route in others}
        self._router = Router(
            [Route(PREDICT, self._predict, methods=["POST"]), *others],
            redirect_slashes=False,
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or start up and shut down."""
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def observed(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._answer(scope, receive, observed)
        except ForetellError as error:
            await refuse(observed, error)
        except ClientDisconnect:
            status = HUNG_UP
        finally:
            self._metrics.observe(self._route(scope["path"]), status, time.perf_counter() - started)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self._options.token and path not in OPEN:
            self._check_token(scope)
        if path.startswith(PREFIX) and scope["method"] == "POST":
            # Past the router, which takes as long as reading a row.
            await self._predict(scope, receive, send)
            return
        # With an application in the scope the router raises rather than answers in plain text.
        scope["app"] = self
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            raise _as_foretell(error, scope) from None

    def _check_token(self, scope: Scope) -> None:
        if not bears(dict(scope["headers"]), self._options.token):
            raise TokenError("authorization", "", f"Bearer and the token that the server has in {TOKEN}")

    def _route(self, path: str) -> str:
        """The route of a path: few, so that metrics stay few."""
        if path.startswith(PREFIX):
            return PREDICT
        return path if path in self._known else "other"

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        await to_thread.run_sync(self._champions.refresh, abandon_on_cancel=True)
        # What is loaded stays: the collector need not walk it again and again.
        gc.collect()
        gc.freeze()
        watching = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        """Look for new champions for as long as the server runs."""
        idle_s = 0.0
        while True:
            await asyncio.sleep(max(self._options.poll_s, idle_s))
            started = time.monotonic()
            new = await to_thread.run_sync(self._champions.refresh, abandon_on_cancel=True)
            # A tracking server, or one whose runs change all the time, takes seconds to ask: then less often.
            idle_s = 0.0 if new else IDLE_SHARE * (time.monotonic() - started)


async def refuse(send: Send, error: ForetellError) -> None:
    """Answer with an error."""
    headers = []
    if isinstance(error, MethodError):
        headers.append((b"allow", error.allow.encode()))
    if isinstance(error, TokenError):
        headers.append((b"www-authenticate", b"Bearer"))
    await reply(send, status_of(error), JSON, msgspec.json.encode(refusal_of(error)), headers)


def _as_foretell(error: HTTPException, scope: Scope) -> ForetellError:
    """What Starlette's router raises: a path or a method that is not there."""
    if error.status_code == 405:
        return MethodError(scope["method"], (error.headers or {})["Allow"])
    return RouteError("path", scope["path"], "a path that /docs lists")
