"""Every route but prediction: what is served, how it fares, and what the routes are."""

import asyncio
import time
from pathlib import Path
from typing import Final

import msgspec
from anyio import to_thread
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from foretell.features.fields import fields_of, words
from foretell.predictors.base import LEVELS
from foretell.serving import messages, registry
from foretell.serving.champions import Champion, Champions
from foretell.serving.http import bears
from foretell.serving.metrics import Metrics
from foretell.serving.openapi import document
from foretell.serving.options import Options

PAGE: Final = Path(__file__).with_name("docs.html")
# The page is one file of ours; nothing is loaded from elsewhere.
PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
}
HIDDEN: Final = "told to whoever asks with the token"


class Routes:
    """Handlers of all routes but prediction.

    Args:
        champions: the models.
        metrics: shown by ``/metrics``.
        options: limits, told by ``/openapi.json``.
    """

    def __init__(self, champions: Champions, metrics: Metrics, options: Options) -> None:
        self._champions = champions
        self._metrics = metrics
        self._options = options
        self._listing = asyncio.Lock()
        self._listed_at_s = -float("inf")
        self._listed = messages.Models([])

    def routes(self) -> list[Route]:
        """All of them."""
        handlers = {
            "/v1/targets": self.targets,
            "/v1/models": self.models,
            "/healthz": self.healthz,
            "/readyz": self.readyz,
            "/metrics": self.metrics,
            "/openapi.json": self.openapi,
            "/docs": self.docs,
        }
        return [Route(path, handler, methods=["GET"]) for path, handler in handlers.items()]

    async def targets(self, request: Request) -> Response:
        """Targets that are answered for."""
        stale = self._champions.stale
        return as_json(
            messages.Targets(
                [target_of(held, str(stale.get(held.target, ""))) for held in self._champions.all()]
            )
        )

    async def models(self, request: Request) -> Response:
        """Registered model versions; asks MLflow at most once per look for new champions."""
        async with self._listing:
            if time.monotonic() - self._listed_at_s > self._options.poll_s:
                found = await to_thread.run_sync(registry.models)
                self._listed = messages.Models([messages.Model(**model.told()) for model in found])
                self._listed_at_s = time.monotonic()
        return as_json(self._listed)

    async def healthz(self, request: Request) -> Response:
        """The process answers."""
        return as_json(messages.Health("ok"))

    async def readyz(self, request: Request) -> Response:
        """503 until one target is answered for.

        Reasons name files and addresses, which are for whoever has the token.
        """
        trusted = bears(dict(request.headers.raw), self._options.token)
        versions = {held.target: held.version for held in self._champions.all()}
        stale = {target: str(error) if trusted else HIDDEN for target, error in self._champions.stale.items()}
        problem = str(self._champions.problem or "")
        readiness = messages.Readiness(
            bool(versions), versions, stale, problem if trusted or not problem else HIDDEN
        )
        return as_json(readiness, 200 if versions else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus' format."""
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def openapi(self, request: Request) -> Response:
        """OpenAPI 3.1."""
        return as_json(document(self._champions.all(), self._options))

    async def docs(self, request: Request) -> Response:
        """The same for people."""
        return Response(PAGE.read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


def as_json(message: object, status: int = 200) -> Response:
    """A response in JSON."""
    return Response(msgspec.json.encode(message), status, media_type="application/json")


def target_of(champion: Champion, stale: str) -> messages.Target:
    """What a target is, for whoever wants to ask."""
    fields = [
        messages.Field(name, words(field.type), field.required)
        for name, field in fields_of(champion.reader.query).items()
    ]
    task = champion.predictor.task
    return messages.Target(
        champion.target, task.unit, champion.version, list(LEVELS), fields, champion.loaded_at_s, stale
    )
