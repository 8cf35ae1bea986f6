"""The server's side of learning: samples to disk and to the trainer, models from it."""

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from foretell.errors import ArtefactError, InputError, UnavailableError
from foretell.serving.llmd import journal as journals
from foretell.serving.llmd import wire
from foretell.serving.llmd.folder import StateFolder
from foretell.serving.llmd.journal import Journal, Record, segments
from foretell.serving.llmd.messages import Entry
from foretell.serving.llmd.models import Models, held
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.rows import samples_of
from foretell.training.online import Published

LOG: Final = logging.getLogger(__name__)
TRAINER: Final = "foretell.serving.llmd.trainer"
ANSWER_S: Final = 60.0
"""Longest wait for the trainer, which may be reading its store."""
RESTART_S: Final = 2.0
ROTATE_S: Final = 5.0
_published: Final = msgspec.json.Decoder(Published)


class Learning:
    """Keeps what is accepted and the trainer that learns from it.

    Args:
        options: settings.
        models: where new models go.
    """

    def __init__(self, options: Options, models: Models) -> None:
        self._options = options
        self._models = models
        self._folder = StateFolder(options.folder)
        self._journal = Journal(self._folder.journal)
        self._process: asyncio.subprocess.Process | None = None
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._trouble: dict[str, str] = {}
        self._pools: set[str] = set()
        self.accepted = 0

    @property
    def trouble(self) -> dict[str, str]:
        """What goes wrong now, by part; empty where all is well."""
        journal = {"journal": self._journal.problem} if self._journal.problem else {}
        return {**{part: reason for part, reason in self._trouble.items() if reason}, **journal}

    async def start(self) -> None:
        """Load the last models, and let the trainer run."""
        for published in self._folder.changed({}):
            self._take(published)
        left = segments(self._folder.journal)
        self._tasks = [
            asyncio.create_task(self._keep_training(left)),
            asyncio.create_task(self._pass_segments()),
        ]

    async def stop(self) -> None:
        """End the trainer; what it has not yet learnt from is on disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def add(self, entries: Sequence[Entry]) -> None:
        """Return once the samples are on disk.

        Raises:
            InputError: more pools than there may be.
            UnavailableError: they could not be written; none is kept.
        """
        pools = {entry.pool for entry in entries}
        if len(self._pools | pools) > self._options.max_pools:
            raise InputError("entries[].pool", sorted(pools)[-1], f"at most {self._options.max_pools} pools")
        self._pools |= pools
        now_s = time.time()
        records = [
            Record(pool, samples_of([entry for entry in entries if entry.pool == pool], now_s))
            for pool in sorted(pools)
        ]
        encoded = [journals.encode(record) for record in records]
        await self._journal.append(b"".join(encoded))
        self.accepted += len(entries)
        for content in encoded:
            self._send(wire.Samples(content[journals.HEAD.size :]))

    async def ask(self, what: str, within_s: float = ANSWER_S, **options: bool) -> dict[str, Any]:
        """What the trainer knows.

        Raises:
            UnavailableError: it does not answer.
        """
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        self._send(wire.Ask(number, what, options))
        try:
            return await asyncio.wait_for(answer, within_s)
        except TimeoutError:
            raise UnavailableError("the trainer does not answer: see its log") from None
        finally:
            self._answers.pop(number, None)

    def _send(self, message: wire.ToTrainer) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(ConnectionError, RuntimeError):
                self._process.stdin.write(wire.frame(message))

    async def _keep_training(self, left: Sequence[Path]) -> None:
        while True:
            setting = msgspec.json.encode(replace(self._options, token="")).decode()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", TRAINER, setting, stdin=-1, stdout=-1
            )
            self._send(wire.Recover([str(path) for path in left]))
            await self._listen(self._process)
            self._trouble["trainer"] = "the trainer ended and is started again"
            LOG.warning(self._trouble["trainer"])
            await asyncio.sleep(RESTART_S)
            # What this trainer knew of the open segment is gone: the next one reads it from the disk.
            self._journal.rotate(0.0)
            while not self._journal.closed.empty():
                self._journal.closed.get_nowait()
            left = segments(self._folder.journal)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  (narrows the type)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await process.stdout.readexactly(wire.LENGTH.size)
                content = await process.stdout.readexactly(wire.LENGTH.unpack(head)[0])
                await self._hear(wire.from_trainer.decode(content))
        await process.wait()

    async def _hear(self, message: wire.FromTrainer) -> None:
        if isinstance(message, wire.Models):
            self._trouble.pop("trainer", None)
            published = await asyncio.to_thread(_published.decode, message.content)
            ready = await asyncio.to_thread(held, published)
            self._models.take(published, ready)
        elif isinstance(message, wire.Quantiles):
            self._models.requantile(message.pool, message.target, message.low, message.high)
        elif isinstance(message, wire.Trouble):
            self._trouble[message.what] = message.reason
        elif (answer := self._answers.get(message.number)) is not None and not answer.done():
            answer.set_result(message.content)

    def _take(self, published: Published) -> None:
        try:
            self._models.take(published, held(published))
            self._pools.add(published.pool)
        except (ArtefactError, ValueError) as error:
            self._trouble["models"] = f"{published.target}@{published.pool} is passed over: {error}"

    async def _pass_segments(self) -> None:
        while True:
            with suppress(TimeoutError):
                path = await asyncio.wait_for(self._journal.closed.get(), ROTATE_S)
                self._send(wire.Closed(str(path)))
            self._journal.rotate()
