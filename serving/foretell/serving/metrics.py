"""What Prometheus reads from the server."""

import os
import time
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from foretell.serving.champions import Champions

SHARED_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable of prometheus_client: where several workers keep their counts together."""
BUCKETS_S: Final = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """Counts of one server.

    Args:
        champions: the models whose versions and ages are told.
    """

    def __init__(self, champions: Champions) -> None:
        own = CollectorRegistry()
        self._requests = Counter("foretell_requests", "Requests.", ["route", "status"], registry=own)
        self._seconds = Histogram(
            "foretell_request_seconds", "Time to answer.", ["route"], buckets=BUCKETS_S, registry=own
        )
        self._rows = Counter("foretell_rows", "Rows answered.", ["target"], registry=own)
        self._outside = Counter(
            "foretell_rows_outside", "Rows outside of what the model has seen.", ["target"], registry=own
        )
        self._counts: dict[tuple[str, int], Counter] = {}
        self._times: dict[str, Histogram] = {}
        self._answered: dict[str, tuple[Counter, Counter]] = {}
        self._shown = own
        if SHARED_FOLDER in os.environ:
            self._shown = CollectorRegistry()
            MultiProcessCollector(self._shown)  # type: ignore[no-untyped-call]
        else:
            ProcessCollector(registry=own)
        self._shown.register(ModelCollector(champions))

    def observe(self, route: str, status: int, seconds: float) -> None:
        """A request has ended."""
        # Labels are looked up once: `labels()` takes longer than the count itself.
        count = self._counts.get((route, status))
        if count is None:
            count = self._counts[route, status] = self._requests.labels(route, str(status))
            self._times[route] = self._seconds.labels(route)
        count.inc()
        self._times[route].observe(seconds)

    def answered(self, target: str, rows: int, outside: int) -> None:
        """Rows have been answered."""
        held = self._answered.get(target)
        if held is None:
            held = self._answered[target] = (self._rows.labels(target), self._outside.labels(target))
        held[0].inc(rows)
        if outside:
            held[1].inc(outside)

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self._shown)


class ModelCollector:
    """The models of this process; where there are several workers, of the one that was asked."""

    def __init__(self, champions: Champions) -> None:
        self._champions = champions

    def collect(self) -> Iterator[Metric]:
        """What is loaded now."""
        held = self._champions.all()
        info = GaugeMetricFamily("foretell_model_info", "Models that answer.", labels=["target", "version"])
        age = GaugeMetricFamily("foretell_model_age_seconds", "Since when.", labels=["target"])
        stale = GaugeMetricFamily("foretell_model_stale", "A newer one does not load.", labels=["target"])
        now = time.time()
        for champion in held:
            info.add_metric([champion.target, champion.version], 1)
            age.add_metric([champion.target], now - champion.loaded_at_s)
            stale.add_metric([champion.target], champion.target in self._champions.stale)
        yield from (info, age, stale)
        reloads, failures = self._champions.reloads, self._champions.failures
        yield CounterMetricFamily("foretell_reloads", "Models loaded.", value=reloads)
        yield CounterMetricFamily("foretell_reload_failures", "Looks or loads that failed.", value=failures)
