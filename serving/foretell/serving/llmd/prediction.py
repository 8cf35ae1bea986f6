"""Routes of the prediction server."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from foretell.serving.http import JSON
from foretell.serving.llmd import read
from foretell.serving.llmd.app import Answer, Handler, in_thread_if_long
from foretell.serving.llmd.messages import MODEL_TYPE, BulkAnswer, LenientAnswer, Prediction
from foretell.serving.llmd.metrics import Metrics
from foretell.serving.llmd.models import Models
from foretell.serving.llmd.options import Options

_encode: Final = msgspec.json.Encoder().encode
Reload = Callable[[], Awaitable[bool]]


def as_json(message: object, status: int = 200) -> Answer:
    """An answer in JSON."""
    return status, JSON, _encode(message)


class PredictionRoutes:
    """Handlers of the prediction server.

    Args:
        models: that answer.
        metrics: counts rows.
        options: settings.
        reload: looks for new models; says whether the look succeeded.
        trouble: what goes wrong now, by part.
    """

    def __init__(
        self,
        models: Models,
        metrics: Metrics,
        options: Options,
        reload: Reload,
        trouble: Callable[[], dict[str, str]],
    ) -> None:
        self._models = models
        self._metrics = metrics
        self._options = options
        self._reload = reload
        self._trouble = trouble

    def routes(self) -> dict[str, dict[str, Handler]]:
        """All of them, by path and method."""
        return {
            "/predict": {"POST": self.predict},
            "/predict/bulk/strict": {"POST": in_thread_if_long(self._strict)},
            "/predict/bulk": {"POST": in_thread_if_long(self._lenient)},
            "/status": {"GET": self.status},
            "/reload": {"POST": self.reload},
            "/healthz": {"GET": self.healthz},
            "/readyz": {"GET": self.readyz},
            "/metrics": {"GET": self.metrics},
        }

    async def predict(self, body: bytes) -> Answer:
        """One request."""
        answers = self._models.predict([read.decoded(read.request, body)])
        self._metrics.predicted(1)
        return as_json(answers[0])

    def _strict(self, body: bytes) -> bytes:
        started = time.perf_counter()
        answers = self._models.predict(read.decoded(read.bulk, body).requests)
        self._metrics.predicted(len(answers))
        took_ms = (time.perf_counter() - started) * 1e3
        return _encode(BulkAnswer(answers, len(answers), len(answers), 0, took_ms))

    def _lenient(self, body: bytes) -> bytes:
        started = time.perf_counter()
        good, where, failures = read.lenient(body)
        answers: list[Prediction | None] = [None] * (len(good) + len(failures))
        if good:
            for index, answer in zip(where, self._models.predict(good), strict=True):
                answers[index] = answer
        self._metrics.predicted(len(good))
        took_ms = (time.perf_counter() - started) * 1e3
        return _encode(LenientAnswer(answers, failures, len(answers), len(good), len(failures), took_ms))

    async def status(self, body: bytes) -> Answer:
        """What answers, and what goes wrong."""
        return as_json(
            self._about()
            | {
                "is_ready": True,
                "last_model_load": self._models.loaded_at,
                "training_server_url": self._options.training_url,
                "models_exist": {"ttft": True, "tpot": True, "ttft_gated": False, "tpot_gated": False},
                "ensemble_active": False,
                "learnt": self._models.learnt,
                "pools": self._models.pools,
                "degraded": self._trouble(),
            }
        )

    async def reload(self, body: bytes) -> Answer:
        """Look for new models now."""
        synced = await self._reload()
        about = self._about() | {"is_ready": True, "last_load_time": self._models.loaded_at}
        return as_json({"synced": synced, "loaded": True} | about)

    async def healthz(self, body: bytes) -> Answer:
        """The process answers."""
        return as_json({"status": "ok", "service": "foretell-llm-d-prediction"})

    async def readyz(self, body: bytes) -> Answer:
        """Ready from the start: before anything is learnt, a prior answers."""
        return as_json({"status": "ready"} | self._about())

    async def metrics(self, body: bytes) -> Answer:
        """Prometheus' format."""
        self._metrics.state.trouble = self._trouble()
        return 200, b"text/plain; version=0.0.4; charset=utf-8", self._metrics.text()

    def _about(self) -> dict[str, Any]:
        return {
            "model_type": MODEL_TYPE,
            "objective_type": self._options.objective,
            "quantile": self._options.quantile,
        }
