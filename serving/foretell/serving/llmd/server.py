"""The processes of the protocol: one that serves both sides, and more that only predict."""

import asyncio
import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from foretell.serving.llmd.app import Application, Found
from foretell.serving.llmd.folder import StateFolder
from foretell.serving.llmd.follow import Follower
from foretell.serving.llmd.learning import Learning
from foretell.serving.llmd.metrics import Metrics
from foretell.serving.llmd.models import Models
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.page import page_routes
from foretell.serving.llmd.prediction import PredictionRoutes
from foretell.serving.llmd.training import TrainingRoutes

LOG: Final = logging.getLogger(__name__)
BACKLOG: Final = 4096
KEEP_ALIVE_S: Final = 75
"""Longer than clients keep idle connections in their pools, so that it is they who close them."""
SWITCH_S: Final = 5e-4
"""Longest that a thread keeps the interpreter from one that answers; Python's own 5 ms are long here."""


def serve(options: Options) -> None:
    """Answer until the process is told to stop.

    Raises:
        UnavailableError: another server learns in the same folder.
    """
    if not _is_loopback(options.host) and not options.token and not options.tls_cert:
        LOG.warning("%s is open to other machines, with neither a token nor TLS", options.host)
    _allow_many_connections()
    sys.setswitchinterval(SWITCH_S)
    import uvloop  # noqa: PLC0415

    uvloop.run(_serve(options))


async def _serve(options: Options) -> None:
    models = Models(options)
    metrics = Metrics(models)
    with contextlib.ExitStack() as stack:
        if options.training_port:
            stack.enter_context(StateFolder(options.folder).alone("server", wait=False))
            await _serve_learning(options, models, metrics)
        else:
            await _serve_predictions(options, models, metrics)


async def _serve_learning(options: Options, models: Models, metrics: Metrics) -> None:
    learning = Learning(options, models)
    await learning.start()

    async def reload() -> bool:
        return not learning.trouble

    shared = PredictionRoutes(models, metrics, options, reload, lambda: learning.trouble)
    training = TrainingRoutes(models, learning, metrics, options, shared)
    tables = {options.training_port: training.routes() | page_routes()}
    if options.prediction_port:
        tables[options.prediction_port] = shared.routes()
    applications = {
        port: Application(
            _finder(table, training if port == options.training_port else None), metrics, options
        )
        for port, table in tables.items()
    }
    try:
        with _more_workers(options):
            await _run(applications, options)
    finally:
        await learning.stop()


async def _serve_predictions(options: Options, models: Models, metrics: Metrics) -> None:
    follower = Follower(options, models)
    await follower.look()
    watching = asyncio.create_task(follower.watch())
    routes = PredictionRoutes(models, metrics, options, follower.look, lambda: follower.trouble)
    application = Application(_finder(routes.routes(), None), metrics, options)
    try:
        await _run({options.prediction_port: application}, options)
    finally:
        watching.cancel()


def _finder(table: Mapping[str, Any], training: TrainingRoutes | None) -> Any:
    def find(path: str) -> Found | None:
        handlers = table.get(path)
        if handlers is not None:
            return path, handlers
        return training.of_a_model(path) if training else None

    return find


async def _run(applications: Mapping[int, Application], options: Options) -> None:
    import uvicorn  # noqa: PLC0415

    from foretell.serving.onewrite import OneWriteProtocol  # noqa: PLC0415

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals are for all servers of the process, below."""
            yield

    servers = []
    for port, application in applications.items():
        config = uvicorn.Config(
            application,
            host=options.host,
            port=port,
            http=OneWriteProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=5,
            ssl_certfile=options.tls_cert or None,
            ssl_keyfile=options.tls_key or None,
        )
        servers.append((Server(config), listening(options.host, port)))

    def stop() -> None:
        for server, _ in servers:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    gc.collect()
    gc.freeze()
    await asyncio.gather(*(server.serve(sockets=[bound]) for server, bound in servers))


def _is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    with contextlib.suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A bound socket that other workers of this user may share."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((host, port))
    # From here on clients of either port wait rather than being turned away.
    bound.listen(BACKLOG)
    return bound


@contextlib.contextmanager
def _more_workers(options: Options) -> Iterator[None]:
    """Processes that only predict, from the models that this one writes to its folder."""
    alone = replace(options, training_port=0, workers=1, state=str(options.folder.absolute()), token="")
    command = [sys.executable, "-m", "foretell.serving.llmd.worker", msgspec.json.encode(alone).decode()]
    environment = os.environ | ({"FORETELL_TOKEN": options.token} if options.token else {})
    workers = [
        subprocess.Popen(command, env=environment)  # noqa: S603  (our own module)
        for _ in range(options.workers - 1 if options.prediction_port else 0)
    ]
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.wait()


def _allow_many_connections() -> None:
    """As many open files as the system allows: idle clients take one each."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
