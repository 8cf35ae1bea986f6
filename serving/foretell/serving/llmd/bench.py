"""The protocol `llm-d`: what a call costs, what learning costs it, and what a crash loses.

All on one machine: one worker, load from this process. The floor is the two native booster calls alone, on
ready arrays, in this process.
"""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import msgspec
import numpy as np
import psutil

from foretell.datasets.store import Store
from foretell.predictors.ensemble import Ensemble
from foretell.predictors.latency import LatencyModel, encode
from foretell.predictors.native import NativeBooster
from foretell.serving.llmd import read
from foretell.serving.llmd.journal import read_segment, segments
from foretell.serving.llmd.paced import Felt, paced
from foretell.serving.llmd.rows import samples_of
from foretell.serving.llmd.running import Running, running
from foretell.serving.llmd.traffic import entries, requests
from foretell.training.online import Published

STRICT: Final = "/predict/bulk/strict"
ADD: Final = "/add_training_data_bulk"
WINDOW: Final = 20_000
BATCH: Final = 100
BODIES: Final = 20
FLAT_OUT_PER_S: Final = 3000.0
"""More calls than any server answers."""
SAMPLES_PER_S: Final = 1000


def run(seconds: float = 5.0, kills: int = 20, rows: Sequence[int] = (1, 100, 1000)) -> dict[str, Any]:
    """Measure; the figures by name.

    Args:
        seconds: length of each window.
        kills: how often the server is killed.
        rows: of a call.
    """
    with tempfile.TemporaryDirectory(prefix="foretell-llmd-") as folder, running(Path(folder)) as server:
        _feed(server, entries(WINDOW, seed=0))
        server.until_learnt()
        models = _models(server)
        calls = [{"rows": count} | _calls(server, models, count, seconds) for count in rows]
        learning = _learning(server, calls, seconds)
    return {
        "protocol": "llm-d",
        "calls": calls,
        "learning": learning | {"refit_cpu_s": _refit_cpu_s()},
        "faults": _faults(kills),
    }


def _feed(server: Running, samples: Sequence[dict[str, Any]]) -> None:
    with httpx.Client(timeout=60.0) as client:
        for start in range(0, len(samples), 1000):
            body = {"entries": samples[start : start + 1000]}
            client.post(server.training + ADD, json=body).raise_for_status()


def _models(server: Running) -> dict[str, LatencyModel]:
    content = httpx.get(f"{server.training}/models/published", timeout=60.0).content
    return {
        held.target: LatencyModel(held.saved) for held in msgspec.json.decode(content, type=list[Published])
    }


def _calls(server: Running, models: dict[str, LatencyModel], rows: int, seconds: float) -> dict[str, float]:
    bodies = [json.dumps({"requests": requests(rows, seed)}).encode() for seed in range(BODIES)]
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    flat_out = asyncio.run(_flat_out(server.prediction_port, bodies, seconds))
    after = process.cpu_times()
    cpu_s = after.user + after.system - before.user - before.system
    per_s = len(flat_out.ms) / seconds
    half = asyncio.run(paced(server.prediction_port, STRICT, bodies, per_s / 2, seconds))
    own_ms = [json.loads(body)["processing_time_ms"] for body in half.bodies]
    floor = _native_rows_per_cpu_s(models, rows, seconds / 5)
    per_cpu_s = len(flat_out.ms) * rows / cpu_s
    return {
        "calls_per_s": per_s,
        "rows_per_cpu_s": per_cpu_s,
        "native_rows_per_cpu_s": floor,
        "share_of_native": per_cpu_s / floor,
        "server_p50_ms": float(np.median(own_ms)),
        "server_p99_ms": float(np.quantile(own_ms, 0.99)),
        "felt_p50_ms": float(np.median(half.ms)),
        "felt_p99_ms": float(np.quantile(half.ms, 0.99)),
    }


async def _flat_out(port: int, bodies: Sequence[bytes], seconds: float) -> Felt:
    """As many calls as four connections get answered."""
    felt = [Felt() for _ in range(4)]

    async def one(mine: Felt) -> None:
        ends = time.perf_counter() + seconds
        while time.perf_counter() < ends:
            answered = await paced(port, STRICT, bodies, FLAT_OUT_PER_S, 50 / FLAT_OUT_PER_S, connections=1)
            mine.ms += answered.ms

    await asyncio.gather(*map(one, felt))
    return Felt([ms for mine in felt for ms in mine.ms])


def _native_rows_per_cpu_s(models: dict[str, LatencyModel], rows: int, seconds: float) -> float:
    asked = json.dumps({"entries": entries(rows, seed=1)}).encode()
    samples = samples_of(read.decoded(read.entries, asked).entries, 0.0)
    ready = [
        (
            NativeBooster(Ensemble.parse(model.saved.booster)),
            encode(samples[:, :-3], model.saved.prefill, model.saved.decode)[0],
        )
        for model in models.values()
    ]
    started = time.process_time()
    count = 0
    while time.process_time() - started < seconds:
        for booster, features in ready:
            booster.predict(features)
        count += rows
    return count / (time.process_time() - started)


def _learning(server: Running, calls: Sequence[dict[str, float]], seconds: float) -> dict[str, float]:
    """Samples at a steady rate while predicting at half load."""
    per_s = next((call["calls_per_s"] for call in calls if call["rows"] == BATCH), 100.0) / 2
    bodies = [json.dumps({"requests": requests(BATCH, seed)}).encode() for seed in range(BODIES)]
    added = [json.dumps({"entries": entries(BATCH, seed)}).encode() for seed in range(BODIES)]

    async def both() -> tuple[Felt, Felt]:
        predicting = paced(server.prediction_port, STRICT, bodies, per_s, 2 * seconds)
        adding = paced(server.training_port, ADD, added, SAMPLES_PER_S / BATCH, 2 * seconds)
        return await asyncio.gather(predicting, adding)

    predicted, accepted = asyncio.run(both())
    return {
        "samples_per_s": accepted.statuses.count(202) * BATCH / (2 * seconds),
        "predictions_per_s": len(predicted.ms) * BATCH / (2 * seconds),
        "failed_calls": float(sum(status != 200 for status in predicted.statuses)),
        "felt_p99_ms": float(np.quantile(predicted.ms, 0.99)),
        "felt_max_ms": float(np.max(predicted.ms)),
        "server_max_ms": max(json.loads(body)["processing_time_ms"] for body in predicted.bodies),
        "accept_p99_ms": float(np.quantile(accepted.ms, 0.99)),
    }


def _refit_cpu_s() -> float:
    """Both targets, on a full window."""
    body = json.dumps({"entries": entries(WINDOW, seed=3)}).encode()
    samples = samples_of(read.decoded(read.entries, body).entries, 0.0)
    LatencyModel.fit("ttft", samples[:1000, :-3], samples[:1000, -3])  # imports
    started = time.process_time()
    for target, column in (("ttft", -3), ("tpot", -2)):
        LatencyModel.fit(target, samples[:, :-3], samples[:, column])
    return time.process_time() - started


def _faults(kills: int) -> dict[str, float]:
    """Kill under load, start again, and count what was acknowledged."""
    random = Random(0)  # noqa: S311  (moments, not secrets)
    ready_s: list[float] = []
    acknowledged = 0
    with tempfile.TemporaryDirectory(prefix="foretell-llmd-") as folder:
        server = Running(Path(folder))
        server.start()
        for kill in range(kills):
            writer = Writer(server.training, seed=kill)
            writer.start()
            time.sleep(random.uniform(0.2, 1.5))
            server.kill()
            writer.join()
            acknowledged += writer.acknowledged
            ready_s.append(server.start())
        server.stop()
        kept = _kept(Path(folder))
    return {
        "kills": float(kills),
        "acknowledged": float(acknowledged),
        "lost": float(max(acknowledged - kept, 0)),
        "ready_max_s": max(ready_s, default=0.0),
    }


class Writer(threading.Thread):
    """Adds samples until the server is gone, and counts what it said it had accepted."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self._url = url
        self._entries = entries(10, seed)
        self.acknowledged = 0

    def run(self) -> None:
        """Until the connection breaks."""
        try:
            with httpx.Client(timeout=10.0) as client:
                while client.post(self._url + ADD, json={"entries": self._entries}).status_code == 202:
                    self.acknowledged += len(self._entries)
        except httpx.HTTPError:
            return


def _kept(root: Path) -> int:
    """Samples in the store and in segments that have not reached it."""
    stored = Store(root).scan("request").collect().height
    left = segments(root / "llm-d" / "journal")
    return stored + sum(len(record.samples) for path in left for record in read_segment(path))
