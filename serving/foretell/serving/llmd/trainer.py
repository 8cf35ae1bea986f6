"""The process that learns, so that the one that answers never waits for it.

It reads samples from its standard input, refits in a thread, and writes models to its standard output. It
ends when its server does.
"""

import logging
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from foretell.datasets.store import Store
from foretell.errors import ForetellError
from foretell.features.request import STATE
from foretell.predictors.latency import LEAST_ROWS
from foretell.serving.llmd import archive, wire
from foretell.serving.llmd.folder import StateFolder
from foretell.serving.llmd.journal import Record, decode, read_segment
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.parent import end_with_parent
from foretell.training.learner import TARGETS
from foretell.training.online import PoolLearner, Published
from foretell.training.window import KV_STEP, PREFIX_STEP

LOG: Final = logging.getLogger(__name__)
NICE: Final = 5
"""Answers come first where cores are few."""
REST: Final = 3.0
"""After a refit, how many times as long as it took until the next."""
QUANTILES_S: Final = 0.25
"""Seconds between words about quantiles."""
QUEUES: Final = ("0", "1-2", "3-5", "6-10", "11+")


class Trainer:
    """All pools, and the two threads that work on them: one reads, one refits.

    Args:
        options: settings.
        store: where samples end up.
        folder: journal and models.
    """

    def __init__(self, options: Options, store: Store, folder: StateFolder) -> None:
        self._options = options
        self._store = store
        self._folder = folder
        self._lock = threading.RLock()
        self._out = threading.Lock()
        self._pools: dict[str, PoolLearner] = {}
        self._told_s = 0.0
        self._total = 0
        self._last_refit_s = 0.0
        self._prior: dict[str, dict[str, Published]] = {}
        for published in folder.changed({}):
            self._prior.setdefault(published.pool, {})[published.target] = published

    def recover(self, segments: Sequence[str]) -> None:
        """Take what an earlier server had accepted, and move its segments into the store."""
        since_s = self._folder.flushed_at_s()
        left = [path for path in map(Path, segments) if not self._archive(path)]
        try:
            records = archive.from_store(self._store, since_s)
        except (ForetellError, OSError) as error:
            self._trouble("store", str(error))
            records = []
        for record in [*records, *(record for path in left for record in read_segment(path))]:
            recent = record.samples[record.samples[:, -1] >= since_s]
            if len(recent):
                self._take(Record(record.pool, recent), judge=False)

    def read(self) -> None:
        """Do as the server says until it is gone."""
        while (content := wire.read(sys.stdin.buffer)) is not None:
            message = wire.to_trainer.decode(content)
            if isinstance(message, wire.Samples):
                self._take(decode(message.payload))
                self._tell_quantiles()
            elif isinstance(message, wire.Closed):
                self._archive(Path(message.path))
            elif isinstance(message, wire.Recover):
                self.recover(message.segments)
            else:
                self._answer(message)

    def refit_forever(self) -> None:
        """Refit pools that have enough new samples, one after the other."""
        while True:
            started = time.monotonic()
            for pool in list(self._pools.values()):
                if pool.new >= self._options.min_new:
                    self._refit(pool)
            time.sleep(max(self._options.retrain_s, REST * (time.monotonic() - started)))

    def _refit(self, pool: PoolLearner) -> None:
        with self._lock:
            if not pool.learner.window.counts():
                return
            rows = pool.learner.window.rows()
            pool.new = 0
        if len(rows.ttft_s) < LEAST_ROWS:
            return
        for refit in pool.refit(rows):
            if refit.accepted:
                self._publish(pool, refit.target)
        self._last_refit_s = time.time()

    def _publish(self, pool: PoolLearner, target: str) -> None:
        with self._lock:
            published = pool.published(target)
        try:
            content = self._folder.publish(published)
            self._trouble("models", "")
        except OSError as error:
            content = msgspec.json.encode(published)
            self._trouble("models", f"cannot keep models: {error.strerror}")
        self._send(wire.Models(content))

    def _take(self, record: Record, *, judge: bool = True) -> None:
        state, (ttft_s, tpot_s, _) = record.samples[:, : len(STATE)], record.samples[:, len(STATE) :].T
        with self._lock:
            if record.pool not in self._pools:
                known = self._prior.get(record.pool)
                self._pools[record.pool] = PoolLearner(record.pool, self._options.quantile, known)
            self._pools[record.pool].add(state, ttft_s, tpot_s, judge=judge)
            self._total += len(state)

    def _archive(self, segment: Path) -> bool:
        try:
            archive.to_store(segment, self._store)
        except (ForetellError, OSError) as error:
            # The segment stays, and is tried again at the next start.
            self._trouble("store", str(error))
            return False
        self._trouble("store", "")
        return True

    def _tell_quantiles(self) -> None:
        if time.monotonic() - self._told_s < QUANTILES_S:
            return
        self._told_s = time.monotonic()
        with self._lock:
            held = [pool.published(target) for pool in self._pools.values() for target in TARGETS]
        for now in held:
            self._send(wire.Quantiles(now.pool, now.target, now.low, now.high))

    def _answer(self, question: wire.Ask) -> None:
        with self._lock:
            content = self._flush(question.options) if question.what == "flush" else self._status()
        self._send(wire.Told(question.number, content))

    def _flush(self, options: Mapping[str, bool]) -> dict[str, Any]:
        dropped = {"training": 0, "test": 0}
        for pool in self._pools.values():
            learnt, held_out = pool.learner.window.forget(
                learnt=options["flush_training_data"], held_out=options["flush_test_data"]
            )
            dropped["training"] += learnt
            dropped["test"] += held_out
            if options["flush_metrics"]:
                for judged in pool.judged.values():
                    judged.forget()
        if options["flush_training_data"]:
            self._folder.flush()
        return dropped

    def _status(self) -> dict[str, Any]:
        return {
            "pools": {name: _status_of(pool) for name, pool in self._pools.items()},
            "total": self._total,
            "last_refit_s": self._last_refit_s,
        }

    def _trouble(self, what: str, reason: str) -> None:
        if reason:
            LOG.warning("%s: %s", what, reason)
        self._send(wire.Trouble(what, reason))

    def _send(self, message: wire.FromTrainer) -> None:
        with self._out:
            sys.stdout.buffer.write(wire.frame(message))
            sys.stdout.buffer.flush()


def _status_of(pool: PoolLearner) -> dict[str, Any]:
    window = pool.learner.window
    return {
        "training": sum(window.counts().values()),
        "test": window.held_out(),
        "buckets": {label(stratum): count for stratum, count in window.counts().items()},
        "targets": {
            target: {
                **pool.judged[target].figures(),
                "fitted_at_s": pool.fitted_at_s.get(target, 0.0),
                "accepted": pool.accepted[target],
                "refused": pool.refused[target],
                "shown": list(pool.judged[target].shown),
            }
            for target in TARGETS
        },
    }


def label(stratum: int) -> str:
    """What a stratum's rows have in common."""
    rest, prefix = divmod(stratum, 5)
    queue, kv = divmod(rest, 10)
    return f"queue {QUEUES[queue]}, kv {kv * KV_STEP:.1f}+, prefix {prefix * PREFIX_STEP:.2f}+"


def main() -> None:
    """Run until the server is gone; its options come as the only argument."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    os.nice(NICE)
    end_with_parent()
    folder = StateFolder(options.folder)
    with folder.alone("trainer", wait=True):
        trainer = Trainer(options, Store(), folder)
        threading.Thread(target=trainer.refit_forever, daemon=True).start()
        trainer.read()
    # A refit that is under way is not worth waiting for.
    os._exit(0)


if __name__ == "__main__":
    main()
