"""The protocol `serving`: this server beside ``mlflow models serve``, one worker each, with one model."""

import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
import numpy as np
import psutil

from foretell.errors import UnavailableError
from foretell.serving import load, registry
from foretell.serving.load import Felt, Load
from foretell.serving.predict import PREFIX

PRODUCT: Final = "foretell"
PEER: Final = "mlflow"
ROWS: Final = (1, 100)
CONNECTIONS: Final = 8
BODIES: Final = 32
"""Different requests of each size."""
WARM_UP_S: Final = 0.5
START_S: Final = 120.0
SERVE: Final = "import sys; from foretell.serving.server import serve; serve(port=int(sys.argv[1]))"
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Server:
    """A server under test.

    Attributes:
        name: in the report.
        port: where it listens on this machine.
        path: where it predicts.
        key: field of a request's body that holds the rows.
        pid: of its process, whose children belong to it.
    """

    name: str
    port: int
    path: str
    key: str
    pid: int

    def bodies(self, rows: Sequence[Row], count: int) -> tuple[str, ...]:
        """Requests of `count` rows each."""
        parts = (rows[start : start + count] for start in range(0, BODIES * count, count))
        return tuple(json.dumps({self.key: part}) for part in parts)


def run(target: str = "gemm.latency", *, window_s: float = 2.0, rounds: int = 3) -> dict[str, Any]:
    """Drive both servers from a third process, in turns, so that noise of the machine hits both.

    Args:
        target: whose champion answers.
        window_s: length of one turn.
        rounds: turns of each server with each number of rows.

    Returns:
        Requests per second, latencies, memory and their ratios, by number of rows.

    Raises:
        NotRegisteredError: the target has no champion.
        UnavailableError: a server does not start.
    """
    registered = registry.champion(target)
    model = registered.path.parents[1]
    rows = varied(example_rows(model), BODIES * max(ROWS))
    with ExitStack() as stack:
        servers = [
            stack.enter_context(started) for started in (foretell_server(target), mlflow_server(model))
        ]
        felt = in_turns(servers, rows, window_s, rounds)
        memory_mb = {server.name: memory_of(server.pid) for server in servers}
        ceiling = stack.enter_context(canned_server())
        unloaded = press(asked_of(ceiling, rows, 1, window_s / 2))
    return {
        "protocol": "serving",
        "target": target,
        "version": registered.version,
        "connections": CONNECTIONS,
        "workers": 1,
        "groups": [compared(count, felt) for count in ROWS],
        "rss_mb": memory_mb | {"ratio": round(memory_mb[PEER] / memory_mb[PRODUCT], 2)},
        "ceiling": figures([unloaded]),
    }


def in_turns(
    servers: Sequence[Server], rows: Sequence[Row], window_s: float, rounds: int
) -> dict[tuple[str, int], list[Felt]]:
    """All windows by name of the server and number of rows, after one that warms up."""
    felt: dict[tuple[str, int], list[Felt]] = {}
    for round_ in range(rounds + 1):
        for count in ROWS:
            for server in servers:
                seconds = window_s if round_ else WARM_UP_S
                window = press(asked_of(server, rows, count, seconds))
                if round_:
                    felt.setdefault((server.name, count), []).append(window)
    return felt


def press(asked: Load) -> Felt:
    """One window, from a process of its own."""
    command = [sys.executable, "-m", load.__name__]
    done = subprocess.run(command, input=msgspec.json.encode(asked), capture_output=True, check=True)  # noqa: S603
    return msgspec.json.decode(done.stdout, type=Felt)


def asked_of(server: Server, rows: Sequence[Row], count: int, seconds: float) -> Load:
    """One window on one server."""
    return Load(server.port, server.path, server.bodies(rows, count), CONNECTIONS, seconds)


def compared(count: int, felt: Mapping[tuple[str, int], Sequence[Felt]]) -> dict[str, Any]:
    """Both servers at one number of rows."""
    product, peer = figures(felt[PRODUCT, count]), figures(felt[PEER, count])
    return {
        "group": {"rows": count},
        "product": product,
        "peers": {PEER: peer},
        "ratio": {
            "requests_per_s": round(product["requests_per_s"] / peer["requests_per_s"], 2),
            "p50_ms": round(peer["p50_ms"] / product["p50_ms"], 2),
            "p99_ms": round(peer["p99_ms"] / product["p99_ms"], 2),
        },
    }


def figures(windows: Sequence[Felt]) -> dict[str, float]:
    """What was felt over all windows together."""
    latency_ms = np.concatenate([window.latency_us for window in windows]) / 1e3
    return {
        "requests": len(latency_ms),
        "failed": sum(len(window.statuses) for window in windows),
        "requests_per_s": round(len(latency_ms) / sum(window.seconds for window in windows), 1),
        "p50_ms": round(float(np.percentile(latency_ms, 50)), 3),
        "p99_ms": round(float(np.percentile(latency_ms, 99)), 3),
    }


def example_rows(model: Path) -> list[Row]:
    """The rows that were logged with an MLflow model."""
    example = json.loads((model / "input_example.json").read_bytes())
    return [dict(zip(example["columns"], values, strict=True)) for values in example["data"]]


def varied(examples: Sequence[Row], count: int, seed: int = 0) -> list[Row]:
    """Rows like the examples with other integers, up to twice as large or small: no two alike."""
    draw = random.Random(seed)  # noqa: S311 - nothing is kept secret
    return [
        {
            name: max(1, int(value * 2 ** draw.uniform(-1, 1))) if isinstance(value, int) else value
            for name, value in examples[number % len(examples)].items()
        }
        for number in range(count)
    ]


def memory_of(pid: int) -> float:
    """Resident memory of a process and its children, MB."""
    process = psutil.Process(pid)
    family = [process, *process.children(recursive=True)]
    rss_bytes: int = sum(member.memory_info().rss for member in family)
    return round(rss_bytes / 1e6, 1)


@contextmanager
def foretell_server(target: str) -> Iterator[Server]:
    """This server."""
    port = free_port()
    with process_of("-c", SERVE, str(port)) as process:
        wait_for(process, f"http://127.0.0.1:{port}/readyz")
        yield Server(PRODUCT, port, PREFIX + target, "rows", process.pid)


@contextmanager
def mlflow_server(model: Path) -> Iterator[Server]:
    """MLflow's own server of a model."""
    port = free_port()
    words = ["models", "serve", "--model-uri", str(model), "--env-manager", "local"]
    with process_of("mlflow", *words, "--port", str(port), "--workers", "1") as process:
        wait_for(process, f"http://127.0.0.1:{port}/ping")
        yield Server(PEER, port, "/invocations", "dataframe_records", process.pid)


@contextmanager
def canned_server() -> Iterator[Server]:
    """A server that does nothing: what the load alone can reach."""
    port = free_port()
    with process_of(load.__name__, str(port)) as process:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and not listens(port):
            time.sleep(0.05)
        yield Server("nothing", port, "/", "rows", process.pid)


@contextmanager
def process_of(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process: a module or ``-c`` and its arguments; ended with the family it has by then."""
    start = () if words[0] == "-c" else ("-m",)
    # MLflow starts uvicorn by name, which lies beside this Python, in the path or not.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path}
    silent: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen([sys.executable, *start, *words], env=environment, **silent)  # noqa: S603
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):  # it may have ended by itself
            for member in psutil.Process(process.pid).children(recursive=True):
                member.terminate()
        process.terminate()
        process.wait(timeout=START_S)


def wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    """Until a server answers with success.

    Raises:
        UnavailableError: it has ended, or takes too long.
    """
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, timeout=5).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise UnavailableError(f"no server answered at {url}")


def listens(port: int) -> bool:
    """Whether something accepts connections there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """A port that nothing listens at now."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])
