"""The server process."""

import logging
import os
import tempfile
from ipaddress import ip_address
from typing import Final

import msgspec
from msgspec.structs import replace

from foretell.serving.app import OPTIONS, TOKEN, from_environment
from foretell.serving.metrics import SHARED_FOLDER
from foretell.serving.onewrite import OneWriteProtocol
from foretell.serving.options import DEFAULTS, Options

LOG: Final = logging.getLogger(__name__)
KEEP_ALIVE_S: Final = 75
"""Longer than clients keep idle connections in their pools, so that it is they who close them."""
WORKER_SILENT_S: Final = 60
"""A worker that does not answer its parent for so long is replaced; on a busy machine starting takes long."""


def serve(host: str = "127.0.0.1", port: int = 8000, workers: int = 1, options: Options = DEFAULTS) -> None:
    """Answer over REST until the process is told to stop.

    Args:
        host: address to listen at; beyond this machine only with a token, or a warning.
        port: to listen at.
        workers: processes, each with the models loaded.
        options: limits and habits; a token may also come as the environment variable FORETELL_TOKEN.
    """
    import uvicorn  # noqa: PLC0415

    if options.token:
        os.environ[TOKEN] = options.token
    if not is_loopback(host) and not os.environ.get(TOKEN):
        LOG.warning("%s is open to other machines, and no token is asked for: set %s", host, TOKEN)
    os.environ[OPTIONS] = msgspec.json.encode(replace(options, token="")).decode()
    with tempfile.TemporaryDirectory(prefix="foretell-metrics-") as folder:
        if workers > 1:
            os.environ[SHARED_FOLDER] = folder
        uvicorn.run(
            f"{from_environment.__module__}:{from_environment.__name__}",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="auto",
            http=OneWriteProtocol,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=10,
            timeout_worker_healthcheck=WORKER_SILENT_S,
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
