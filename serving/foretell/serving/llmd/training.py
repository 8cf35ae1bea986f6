"""Routes of the training server."""

import contextlib
import io
import re
import tarfile
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from foretell.errors import ForetellError, NotRegisteredError, UnavailableError
from foretell.predictors.latency import feature_names
from foretell.serving.llmd import read
from foretell.serving.llmd.app import Answer, Handler
from foretell.serving.llmd.learning import ANSWER_S, Learning
from foretell.serving.llmd.messages import MODEL_TYPE
from foretell.serving.llmd.metrics import Metrics
from foretell.serving.llmd.models import Held, Models, stamp
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.prediction import PredictionRoutes, as_json

NAMES: Final = ("ttft", "tpot", "ttft_gated", "tpot_gated")
"""Models of the protocol; the gated ones split on an empty queue, which the physics does by itself."""
MODEL: Final = re.compile(r"/model/(?P<name>[^/]+)/(?P<what>info|download|xgb/json|lgb/txt|lgb/importances)")
ENDPOINTS: Final = (
    "/model/{name}/info", "/model/{name}/download", "/model/ttft/lgb/txt", "/model/tpot/lgb/txt",
    "/model/ttft/lgb/importances", "/model/tpot/lgb/importances", "/model/export",
)  # fmt: skip
QUICK_S: Final = 2.0
"""Longest that a scrape or the page waits for the trainer; then they show what it said last."""
IMPORTANCES: Final = re.compile(r"^Column_(\d+)=([\d.eE+-]+)$", re.MULTILINE)


class TrainingRoutes:
    """Handlers of the training server.

    Args:
        models: that answer.
        learning: keeps samples.
        metrics: counts samples.
        options: settings.
        shared: handlers that both servers have.
    """

    def __init__(
        self,
        models: Models,
        learning: Learning,
        metrics: Metrics,
        options: Options,
        shared: PredictionRoutes,
    ) -> None:
        self._models = models
        self._learning = learning
        self._metrics = metrics
        self._options = options
        self._shared = shared

    def routes(self) -> dict[str, dict[str, Handler]]:
        """All but those of single models, by path and method."""
        return {
            "/add_training_data_bulk": {"POST": self.add},
            "/predict": {"POST": self._shared.predict},
            "/model/download/info": {"GET": self.download_info},
            "/models/list": {"GET": self.list_models},
            "/models/published": {"GET": self.published},
            "/model/export": {"GET": self.export},
            "/data/status": {"GET": self.data_status},
            "/stats.json": {"GET": self.stats},
            "/flush": {"POST": self.flush},
            "/metrics": {"GET": self.metrics},
            "/healthz": {"GET": self.healthz},
            "/readyz": {"GET": self._shared.readyz},
        }

    def of_a_model(self, path: str) -> tuple[str, dict[str, Handler]] | None:
        """The route of a single model's path, or null."""
        found = MODEL.fullmatch(path)
        if found is None:
            return None
        name, what = found["name"], found["what"]

        async def handler(body: bytes) -> Answer:
            return self._model(name, what)

        return f"/model/{{name}}/{what}", {"GET": handler}

    async def add(self, body: bytes) -> Answer:
        """Accept finished requests: 202 once they are on disk."""
        entries = read.decoded(read.entries, body).entries
        if entries:
            await self._learning.add(entries)
        self._metrics.accepted(len(entries))
        return as_json({"message": f"Accepted {len(entries)} training samples."}, 202)

    async def download_info(self, body: bytes) -> Answer:
        """What can be downloaded."""
        status = await self._status()
        totals = _totals(status)
        return as_json(
            {
                "model_type": MODEL_TYPE,
                "available_endpoints": {path.strip("/").replace("/", "_"): path for path in ENDPOINTS},
                "is_ready": True,
                "objective_type": self._options.objective,
                "quantile": self._options.quantile,
                "training_samples": totals["training"],
                "test_samples": totals["test"],
                "last_retrain_time": _time(status.get("last_refit_s", 0.0)),
            }
        )

    async def list_models(self, body: bytes) -> Answer:
        """Every model of the protocol, and whether it is there."""
        return as_json(
            {
                "models": {name: self._info(name) for name in NAMES},
                "model_type": MODEL_TYPE,
                "objective_type": self._options.objective,
                "quantile": self._options.quantile,
                "pools": self._models.pools,
                "server_time": stamp(time.time()),
            }
        )

    async def published(self, body: bytes) -> Answer:
        """All models of all pools, for prediction servers."""
        return as_json(self._models.published())

    async def export(self, body: bytes) -> Answer:
        """All of it as an archive.

        Raises:
            UnavailableError: nothing has been learnt yet.
        """
        files = {
            f"{target}.json": msgspec.json.encode(held.model.saved) for target, held in self._learnt().items()
        }
        if not files:
            raise UnavailableError("no model has been learnt yet: a prior answers")
        metadata = {
            "model_type": MODEL_TYPE,
            "objective_type": self._options.objective,
            "quantile": self._options.quantile,
            "models": {target: self._info(target) for target in self._learnt()},
            "exported_at": stamp(time.time()),
        }
        return 200, b"application/gzip", _archive(files | {"metadata.json": msgspec.json.encode(metadata)})

    async def data_status(self, body: bytes) -> Answer:
        """How many samples there are, of which kind, and how predictions fare."""
        status = await self._status(ANSWER_S)
        totals = _totals(status)
        pools: Mapping[str, Any] = status.get("pools", {})
        return as_json(
            {
                "training_data": _samples(totals["training"]),
                "test_data": _samples(totals["test"]),
                "ensemble": {"active": False},
                "metrics": {pool: _figures(told) for pool, told in pools.items()},
                "bucket_distribution": _buckets(pools),
                "model_ready": self._models.learnt,
                "last_retrain": _time(status.get("last_refit_s", 0.0)),
                "accepted_since_start": self._learning.accepted,
                "degraded": self._learning.trouble,
            }
        )

    async def stats(self, body: bytes) -> Answer:
        """What the page shows."""
        status = await self._status()
        pools = [pool for pool in self._models.pools if pool in status.get("pools", {})]
        fitted = {
            pool: {target: held.fitted_at_s for target, held in self._models.of(pool).items()}
            for pool in pools
        }
        told = {
            "now_s": time.time(),
            "status": status,
            "fitted_at_s": fitted,
            "quantile": self._options.quantile,
            "degraded": self._learning.trouble,
        }
        return as_json(told)

    async def flush(self, body: bytes) -> Answer:
        """Forget samples, figures, or both."""
        wanted = read.decoded(read.flush, body or b"{}")
        dropped = await self._learning.ask(
            "flush",
            flush_training_data=wanted.flush_training_data,
            flush_test_data=wanted.flush_test_data,
            flush_metrics=wanted.flush_metrics,
        )
        counts = {
            f"{target}_{part}_samples_flushed": dropped[part]
            for target in ("ttft", "tpot")
            for part in ("training", "test")
        }
        return as_json(
            {
                "success": True,
                "flushed_at": stamp(time.time()),
                "reason": wanted.reason,
                **counts,
                "metrics_cleared": wanted.flush_metrics,
                "message": f"Flushed {dropped['training']} training and {dropped['test']} test samples.",
            }
        )

    async def metrics(self, body: bytes) -> Answer:
        """Prometheus' format."""
        await self._status()
        return await self._shared.metrics(body)

    async def healthz(self, body: bytes) -> Answer:
        """The process answers."""
        return as_json({"status": "ok", "service": "foretell-llm-d-training"})

    async def _status(self, within_s: float = QUICK_S) -> Mapping[str, Any]:
        """What the trainer knows; what it said last where it is away."""
        with contextlib.suppress(UnavailableError):
            self._metrics.state.status = await self._learning.ask("status", within_s)
        return self._metrics.state.status

    def _learnt(self) -> dict[str, Held]:
        """Models that are not the prior, of the unnamed pool or else the first."""
        pools = self._models.pools
        known = self._models.of("" if "" in pools or not pools else pools[0])
        return {target: held for target, held in known.items() if held.fitted_at_s}

    def _info(self, name: str) -> dict[str, Any]:
        held = self._learnt().get(name)
        return {
            "exists": held is not None,
            "size_bytes": len(msgspec.json.encode(held.model.saved)) if held else 0,
            "last_modified": _time(held.fitted_at_s) if held else None,
        }

    def _model(self, name: str, what: str) -> Answer:
        if name not in NAMES:
            raise NotRegisteredError(f"no model {name}: there are {', '.join(NAMES)}")
        if what == "info":
            return as_json({"name": name, "model_type": MODEL_TYPE} | self._info(name))
        held = self._learnt().get(name)
        if held is None or what == "xgb/json":
            raise _absent(name, what)
        return FORMS[what](held)


def _absent(name: str, what: str) -> ForetellError:
    if what == "xgb/json":
        return NotRegisteredError(f"the models are {MODEL_TYPE}'s: see /model/{name}/lgb/txt")
    return NotRegisteredError(f"no model {name} has been learnt yet")


def _importances(held: Held) -> Answer:
    names = feature_names(held.model.saved)
    found = IMPORTANCES.findall(held.model.saved.booster)
    gains = dict.fromkeys(names, 0.0) | {names[int(column)]: float(gain) for column, gain in found}
    return as_json(gains)


FORMS: Final[Mapping[str, Callable[[Held], Answer]]] = {
    "download": lambda held: (200, b"application/octet-stream", msgspec.json.encode(held.model.saved)),
    "lgb/txt": lambda held: (200, b"text/plain; charset=utf-8", held.model.saved.booster.encode()),
    "lgb/importances": _importances,
}


def _archive(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mtime = int(time.time())
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _totals(status: Mapping[str, Any]) -> dict[str, int]:
    pools = status.get("pools", {}).values()
    return {part: sum(pool[part] for pool in pools) for part in ("training", "test")}


def _samples(count: int) -> dict[str, int]:
    return {"ttft_samples": count, "tpot_samples": count, "total_samples": count}


def _figures(told: Mapping[str, Any]) -> dict[str, Any]:
    return {
        target: {name: value for name, value in figures.items() if name != "shown"}
        for target, figures in told["targets"].items()
    }


def _buckets(pools: Mapping[str, Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for told in pools.values():
        for bucket, count in told["buckets"].items():
            counts[bucket] = counts.get(bucket, 0) + count
    return counts


def _time(unix_s: float) -> str | None:
    return stamp(unix_s) if unix_s else None
