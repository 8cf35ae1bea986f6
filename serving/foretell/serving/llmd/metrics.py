"""What Prometheus reads from the protocol's servers."""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from foretell.serving.llmd.models import Models

BUCKETS_S: Final = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """Counts of one process.

    Args:
        models: whose age is told.
    """

    def __init__(self, models: Models) -> None:
        own = self._shown = CollectorRegistry()
        self._requests = Counter("foretell_llmd_requests", "Requests.", ["route", "status"], registry=own)
        self._seconds = Histogram(
            "foretell_llmd_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS_S, registry=own
        )
        self._rows = Counter("foretell_llmd_predictions", "Predictions.", registry=own)
        self._samples = Counter("foretell_llmd_samples", "Samples accepted.", registry=own)
        self._held: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self.state = StateCollector(models)
        own.register(self.state)
        ProcessCollector(registry=own)

    def observe(self, route: str, status: int, seconds: float) -> None:
        """A request has ended."""
        held = self._held.get((route, status))
        if held is None:
            held = self._requests.labels(route, str(status)), self._seconds.labels(route)
            self._held[route, status] = held
        held[0].inc()
        held[1].observe(seconds)

    def predicted(self, rows: int) -> None:
        """Rows have been answered."""
        self._rows.inc(rows)

    def accepted(self, samples: int) -> None:
        """Samples have been kept."""
        self._samples.inc(samples)

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self._shown)


TOLD: Final = {
    "coverage": ("foretell_llmd_coverage_percent", "Outcomes below the tracked quantile, of the latest."),
    "mape": ("foretell_llmd_mape_percent", "Mean absolute percentage error of the latest outcomes."),
    "accepted": ("foretell_llmd_refits_accepted", "Refits whose model answered."),
    "refused": ("foretell_llmd_refits_refused", "Refits whose model was worse than the one that answers."),
}


class StateCollector:
    """Models and what the trainer last said of them."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self.status: Mapping[str, Any] = {}
        self.trouble: Mapping[str, str] = {}

    def collect(self) -> Iterator[Metric]:
        """Asked by prometheus_client."""
        age = GaugeMetricFamily(
            "foretell_llmd_model_age_seconds", "Since the fit.", labels=["pool", "target"]
        )
        for pool in self._models.pools:
            for target, held in self._models.of(pool).items():
                age.add_metric([pool, target], time.time() - held.fitted_at_s)
        yield age
        trouble = GaugeMetricFamily("foretell_llmd_degraded", "1 while a part fails.", labels=["part"])
        for part in self.trouble:
            trouble.add_metric([part], 1.0)
        yield trouble
        yield from self._pools()

    def _pools(self) -> Iterator[Metric]:
        pools = self.status.get("pools", {})
        rows = GaugeMetricFamily("foretell_llmd_window_rows", "Samples kept.", labels=["pool", "part"])
        for pool, status in pools.items():
            for part in ("training", "test"):
                rows.add_metric([pool, part], status[part])
        yield rows
        for figure, (name, words) in TOLD.items():
            family = GaugeMetricFamily(name, words, labels=["pool", "target"])
            for pool, status in pools.items():
                for target, figures in status["targets"].items():
                    if figures[figure] is not None:
                        family.add_metric([pool, target], figures[figure])
            yield family
