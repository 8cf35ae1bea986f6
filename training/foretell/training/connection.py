"""Where MLflow keeps runs and models, and a client for it that neither chatters nor phones home."""

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from foretell.errors import UnavailableError

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SQLITE: Final = "sqlite:///"
ENVIRONMENT: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The default, 7, takes minutes to say that a server is not there.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}
LEVELS: Final = {
    "alembic": logging.WARNING,
    "mlflow.pyfunc": logging.WARNING,
    "mlflow.store": logging.WARNING,
    # It logs, with the whole stack, each error that it also raises.
    "mlflow.store.db.utils": logging.CRITICAL,
}
"""What MLflow's loggers may say while foretell talks to it."""
HARMLESS: Final = (
    "The ``noload`` loader strategy",
    ".*Any type hint is inferred as AnyType",
    "Operation with range is deprecated",
)
"""Warnings about MLflow 3.17's own code under SQLAlchemy 2.1 and pandas 3, which no user can act on."""


def tracking_uri() -> str:
    """``FORETELL_MLFLOW_URI``, else SQLite in ``mlruns`` under the current folder."""
    return os.environ.get("FORETELL_MLFLOW_URI") or f"{SQLITE}{Path('mlruns/mlflow.db').absolute()}"


def database(uri: str) -> Path | None:
    """File of an SQLite database; none for a server."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def home(uri: str) -> Path:
    """Folder of local artefacts and locks: beside the database, else ``mlruns``."""
    file = database(uri)
    return file.parent if file else Path("mlruns").absolute()


def connect() -> "MlflowClient":
    """A client for `tracking_uri`; creates the SQLite database on first use.

    Raises:
        UnavailableError: MLflow cannot be reached there, or its folder cannot be written.
    """
    prepare_environment()
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - 1.4 s of CPU and 140 MB

    uri = tracking_uri()
    # MLflow creates its tables without a lock: two first runs at once would fail.
    with told(), exclusive("create"):
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)
        client.search_registered_models(max_results=1)
    return client


def prepare_environment() -> None:
    """Keep MLflow from reporting use over the network and from chatting, unless a user set otherwise."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def told() -> Iterator[None]:
    """Talk to MLflow quietly, and turn what it raises into an `UnavailableError` that says where it was."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    try:
        with quiet():
            yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        message = f"MLflow at {tracking_uri()}: {str(error).splitlines()[0]}"
        # An address may carry a password.
        raise UnavailableError(re.sub(r"//[^/@]*@", "//", message)) from error


@contextmanager
def exclusive(purpose: str) -> Iterator[None]:
    """Hold a lock among the processes of this machine; it goes with its process, even a killed one."""
    import fcntl  # noqa: PLC0415 - absent from Windows

    folder = home(tracking_uri())
    folder.mkdir(parents=True, exist_ok=True)
    # Read-only, so that a registry on a read-only mount can still be looked up.
    descriptor = os.open(folder / f"{purpose}.lock", os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back MLflow's messages below `LEVELS`, and `HARMLESS` warnings."""
    before = {name: logging.getLogger(name).level for name in LEVELS}
    for name, level in LEVELS.items():
        logging.getLogger(name).setLevel(level)
    try:
        with warnings.catch_warnings():
            for message in HARMLESS:
                warnings.filterwarnings("ignore", message)
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
