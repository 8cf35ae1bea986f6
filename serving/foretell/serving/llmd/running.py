"""A server of the protocol as a process of its own, for measurements."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx

from foretell.errors import UnavailableError

START_S: Final = 180.0
"""A busy machine takes its time."""
COMMAND: Final = "from foretell.serving.cli.main import main; main()"


class Running:
    """A server under one folder, which may be killed and started again.

    Args:
        root: its store and its state lie below.
        options: further options of the command.
    """

    def __init__(self, root: Path, *options: str) -> None:
        self.prediction_port, self.training_port = free_ports()
        self._options = options
        self._environment = os.environ | {"FORETELL_STORE": str(root), "OMP_NUM_THREADS": "1"}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        assert self._process is not None  # noqa: S101  (it has been started)
        return self._process.pid

    @property
    def predictions(self) -> str:
        """Address of the prediction server."""
        return f"http://127.0.0.1:{self.prediction_port}"

    @property
    def training(self) -> str:
        """Address of the training server."""
        return f"http://127.0.0.1:{self.training_port}"

    def start(self) -> float:
        """Start, and wait until it is ready; says how many seconds that took."""
        ports = ("--prediction-port", str(self.prediction_port), "--training-port", str(self.training_port))
        started = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603  (our own command)
            [sys.executable, "-c", COMMAND, "serve", "--protocol", "llm-d", *ports, *self._options],
            env=self._environment,
            stderr=subprocess.DEVNULL,
        )
        while time.monotonic() - started < START_S:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.predictions}/readyz", timeout=1.0).status_code == 200:
                    return time.monotonic() - started
            time.sleep(0.02)
        raise UnavailableError(f"the server was not ready after {START_S} s")

    def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._wait()

    def _wait(self) -> None:
        assert self._process is not None  # noqa: S101  (it has been started)
        self._process.wait(timeout=START_S)

    def data(self) -> Mapping[str, Any]:
        """What ``/data/status`` says."""
        answer: Mapping[str, Any] = httpx.get(f"{self.training}/data/status", timeout=START_S).json()
        return answer

    def until_learnt(self, seconds: float = 120.0) -> None:
        """Wait for the first model."""
        ends = time.monotonic() + seconds
        while not self.data()["model_ready"]:
            if time.monotonic() > ends:
                raise UnavailableError(f"no model after {seconds} s")
            time.sleep(0.2)


@contextmanager
def running(root: Path, *options: str) -> Iterator[Running]:
    """A server that has been started, and is stopped in the end."""
    server = Running(root, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_ports() -> tuple[int, int]:
    """Two ports that nothing listens at."""
    with socket.socket() as first, socket.socket() as second:
        for free in (first, second):
            free.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]
