"""The server process: what it imports, who may ask, and several workers."""

import json
import logging
import subprocess
import sys

import httpx
import psutil
import pytest

from foretell.serving import server

PREDICT = "/v1/predict/gemm.latency"
LIGHT = """
import asyncio, json, sys
from foretell.serving.app import create_app

async def ask():
    events = [{"type": "lifespan.startup"}]
    app = create_app()
    started, body = asyncio.Event(), json.loads(sys.argv[1])
    queue = asyncio.Queue()
    await queue.put({"type": "lifespan.startup"})
    async def told(message):
        started.set()
    alive = asyncio.create_task(app({"type": "lifespan"}, queue.get, told))
    await started.wait()
    sent = []
    async def receive():
        return {"type": "http.request", "body": json.dumps(body).encode()}
    async def send(message):
        sent.append(message)
    scope = {"type": "http", "method": "POST", "path": "/v1/predict/gemm.latency", "query_string": b"",
             "headers": [(b"content-type", b"application/json")]}
    await app(scope, receive, send)
    alive.cancel()
    return sent[0]["status"]

status = asyncio.run(ask())
heavy = set("mlflow pandas lightgbm sklearn torch pyarrow matplotlib scipy".split()) & set(sys.modules)
print(json.dumps([status, sorted(heavy)]))
"""


def test_answering_imports_nothing_that_only_training_needs(workspace, row):
    command = [sys.executable, "-P", "-W", "error", "-c", LIGHT, json.dumps({"rows": [row]})]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [200, []]


def test_a_server_takes_less_than_half_of_what_mlflow_does(workspace, serve, row):
    with serve() as url:
        httpx.post(url + PREDICT, json={"rows": [row] * 100}, timeout=120).raise_for_status()
        (process,) = [
            child
            for child in psutil.Process().children(recursive=True)
            if any(found.laddr.port == httpx.URL(url).port for found in child.net_connections())
        ]
        rss_mb = process.memory_info().rss / 1e6
    # `mlflow models serve` takes 538 MB; here it is about 110.
    assert rss_mb < 250


def test_a_token_is_asked_for_but_by_probes(workspace, serve, row, monkeypatch):
    monkeypatch.setenv("FORETELL_TOKEN", "open sesame")
    with serve() as url, httpx.Client(base_url=url, timeout=120) as http:
        statuses = {
            name: [
                http.post(PREDICT, json={"rows": [row]}, headers=headers).status_code,
                http.get("/metrics", headers=headers).status_code,
                http.get("/healthz", headers=headers).status_code,
            ]
            for name, headers in {
                "right": {"Authorization": "Bearer open sesame"},
                "wrong": {"Authorization": "Bearer open barley"},
                "none": {},
            }.items()
        }
        refusal = http.get("/v1/targets")
        described = http.get("/openapi.json", headers={"Authorization": "Bearer open sesame"}).json()
    assert statuses == {"right": [200, 200, 200], "wrong": [401, 401, 200], "none": [401, 401, 200]}
    assert refusal.headers["www-authenticate"] == "Bearer"
    assert refusal.json()["error"] == "TokenError"
    assert "sesame" not in refusal.text
    assert described["paths"]["/v1/predict/{target}"]["post"]["security"] == [{"token": []}]


@pytest.mark.parametrize(
    ("host", "token", "warned"),
    [("127.0.0.1", "", False), ("localhost", "", False), ("::1", "", False), ("0.0.0.0", "x", False),
     ("0.0.0.0", "", True), ("10.0.0.7", "", True), ("example.org", "", True)],
)  # fmt: skip
def test_an_open_address_without_a_token_is_warned_of(monkeypatch, caplog, host, token, warned):
    import uvicorn

    monkeypatch.setenv("FORETELL_TOKEN", token)
    monkeypatch.setenv("FORETELL_SERVE", "")
    monkeypatch.setattr(uvicorn, "run", lambda *_, **__: None)
    with caplog.at_level(logging.WARNING):
        server.serve(host)
    assert ("no token is asked for" in caplog.text) == warned


def test_several_workers_answer_and_count_together(workspace, serve, row):
    with serve(workers=2) as url:
        workers = set()
        for _ in range(40):
            with httpx.Client(base_url=url, timeout=120) as http:
                http.post(PREDICT, json={"rows": [row]}).raise_for_status()
        told = httpx.get(url + "/metrics", timeout=120).text
        workers = psutil.Process().children(recursive=True)
    assert len(workers) >= 3
    assert 'foretell_rows_total{target="gemm.latency"} 40.0' in told
    assert 'foretell_model_info{target="gemm.latency"' in told
