"""Servers that answer with the model that the whole suite shares."""

import shutil
from contextlib import contextmanager

import httpx
import msgspec
import pytest

from foretell.serving import registry
from foretell.serving.bench import free_port, process_of, wait_for
from foretell.serving.options import DEFAULTS
from foretell.training.tracking import log_run

SERVE = """
import sys, msgspec
from foretell.serving.options import Options
from foretell.serving.server import serve
serve(port=int(sys.argv[1]), workers=int(sys.argv[2]), options=msgspec.json.decode(sys.argv[3], type=Options))
"""


@contextmanager
def served(workers=1, until="/readyz", **options):
    """A server process; yields its address."""
    told = msgspec.json.encode(msgspec.structs.replace(DEFAULTS, **options)).decode()
    port = free_port()
    with process_of("-c", SERVE, str(port), str(workers), told) as process:
        wait_for(process, f"http://127.0.0.1:{port}{until}")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def serve():
    """Starts a server with some options on the registry in use; a context manager that yields its address."""
    return served


@pytest.fixture(scope="session")
def url(registered):
    """Address of a server with the usual options, which all tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", registered.uri)
        with served() as address:
            yield address


@pytest.fixture
def http(url):
    """Connections to it."""
    with httpx.Client(base_url=url, timeout=120) as client:
        yield client


@pytest.fixture
def row():
    """A row that the shared model answers for without reserve."""
    return {"m": 64, "n": 1024, "k": 2048, "dtype": "bfloat16", "device": "h100",
            "backend": "vllm", "backend_version": "0.24.0"}  # fmt: skip


@pytest.fixture(scope="session")
def two_versions(registered, tmp_path_factory):
    """A copy of the shared registry with a second version of the target, the same model once more."""
    folder = tmp_path_factory.mktemp("two-versions")
    shutil.copy(registered.folder / "mlruns" / "mlflow.db", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{folder}/mlflow.db")
        path = registry.champion("gemm.latency").path
        example = registered.store.scan("kernel").select("m", "n", "k", "dtype", "device").head(2).collect()
        log_run("gemm.latency", path, example=example, params={}, metrics={"mape": 5.0}, plots=[],
                data_version="d1", split="site-1/ab", commit=None)  # fmt: skip
    return folder


@pytest.fixture
def own_registry(two_versions, tmp_path, monkeypatch):
    """A copy of that registry which a test may change."""
    folder = tmp_path / "registry"
    folder.mkdir()
    shutil.copy(two_versions / "mlflow.db", folder)
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{folder}/mlflow.db")
    return folder
