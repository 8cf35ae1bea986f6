"""The protocol over HTTP, against a running process."""

import io
import json
import socket
import tarfile

import httpx
import pytest

from foretell.serving.llmd.running import running
from foretell.serving.llmd.traffic import entries, requests

ONE = {
    "kv_cache_percentage": 0.3, "input_token_length": 500, "num_request_waiting": 1,
    "num_request_running": 4, "num_tokens_generated": 0, "prefix_cache_score": 0.5,
}  # fmt: skip
ABOUT = {"model_type", "objective_type", "quantile"}
PREDICTION = {"ttft_ms", "tpot_ms", "predicted_at", "last_model_load", *ABOUT}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("store"), "--retrain-s", "0.2") as started:
        yield started


@pytest.fixture(scope="module")
def client():
    with httpx.Client(timeout=120.0) as opened:
        yield opened


@pytest.fixture(scope="module")
def taught(server, client):
    """The server after it has learnt from two thousand requests."""
    for seed in range(2):
        answer = client.post(
            f"{server.training}/add_training_data_bulk", json={"entries": entries(1000, seed)}
        )
        assert (answer.status_code, answer.json()) == (202, {"message": "Accepted 1000 training samples."})
    server.until_learnt(300.0)
    return server


def test_a_prior_answers_from_the_first_second(server, client):
    assert client.get(f"{server.predictions}/readyz").json()["status"] == "ready"
    answer = client.post(f"{server.predictions}/predict", json=ONE).json()
    assert set(answer) >= PREDICTION
    assert answer["ttft_ms"] > 0
    low, high = answer["ttft_prediction_bounds"]
    assert low <= answer["ttft_ms"] <= high


def test_status_reload_and_health_have_their_fields(server, client):
    status = client.get(f"{server.predictions}/status").json()
    fields = {"is_ready", "last_model_load", "training_server_url", "models_exist", "ensemble_active"}
    assert set(status) >= fields | ABOUT
    reloaded = client.post(f"{server.predictions}/reload").json()
    assert set(reloaded) >= {"synced", "loaded", "is_ready", "last_load_time", *ABOUT}
    for url in (server.predictions, server.training):
        assert client.get(f"{url}/healthz").json()["status"] == "ok"


def test_a_strict_bulk_call_answers_all_or_refuses_whole(server, client):
    url = f"{server.predictions}/predict/bulk/strict"
    answer = client.post(url, json={"requests": [ONE] * 3}).json()
    assert [answer[name] for name in ("total_requests", "successful_predictions", "failed_predictions")] == [
        3,
        3,
        0,
    ]
    assert len(answer["predictions"]) == 3
    refused = client.post(url, json={"requests": [ONE, ONE | {"prefix_cache_score": 2}]})
    assert refused.status_code == 422
    assert refused.json()["detail"][0]["loc"] == ["body", "requests", 1, "prefix_cache_score"]


def test_a_lenient_bulk_call_names_what_failed(server, client):
    wrong = {name: value for name, value in ONE.items() if name != "kv_cache_percentage"}
    answer = client.post(f"{server.predictions}/predict/bulk", json={"requests": [ONE, wrong, ONE]}).json()
    assert [prediction is None for prediction in answer["predictions"]] == [False, True, False]
    (error,) = answer["errors"]
    assert (error["index"], error["request"]) == (1, wrong)
    assert "kv_cache_percentage" in error["error"]
    assert (answer["successful_predictions"], answer["failed_predictions"]) == (2, 1)


@pytest.mark.parametrize("bulk", ["/predict/bulk", "/predict/bulk/strict"])
@pytest.mark.parametrize("count", [0, 10_001])
def test_a_bulk_call_takes_one_to_ten_thousand(server, client, bulk, count):
    assert client.post(server.predictions + bulk, json={"requests": [ONE] * count}).status_code == 422


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"pod_type": "prefill"}, 200), ({"pod_type": "nonsense"}, 200), ({"new_field": 1}, 200),
        ({"kv_cache_percentage": -0.1}, 422), ({"input_token_length": -1}, 422),
        ({"num_request_waiting": "many"}, 422), ({"num_request_running": 1.5}, 422),
        ({"input_token_length": 10**30}, 422), ({"input_token_length": 2**63 - 1}, 200),
    ],
)  # fmt: skip
def test_fields_are_held_to_their_ranges(server, client, changed, status):
    answer = client.post(f"{server.predictions}/predict", json=ONE | changed)
    assert answer.status_code == status
    if status == 422:
        assert answer.json()["field"] == next(iter(changed))
    else:
        assert answer.json()["ttft_ms"] >= 0.0


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400), (b"", 400), (b"\xff\xfe", 400), (b"[1]", 422), (b"null", 422),
        (json.dumps(ONE | {"kv_cache_percentage": float("nan")}).encode(), 400),
        (json.dumps(ONE).replace("0.3", "1e999").encode(), 422), (b"[" * 100_000, 422),
    ],
)  # fmt: skip
def test_bodies_that_are_none_are_refused(server, client, body, status):
    assert client.post(f"{server.predictions}/predict", content=body).status_code == status


def test_a_body_beyond_the_limit_is_not_read(server, client):
    answer = client.post(f"{server.predictions}/predict", content=b" " * (17 * 2**20))
    assert answer.status_code == 413


def test_other_paths_and_methods_are_told_apart(server, client):
    assert client.get(f"{server.predictions}/nowhere").status_code == 404
    answer = client.get(f"{server.predictions}/predict")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert client.post(f"{server.predictions}/add_training_data_bulk", json={}).status_code == 404


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"timestamp": "2999-01-01T00:00:00Z"}, 202), ({"timestamp": "yesterday"}, 422),
        ({"actual_ttft_ms": -1}, 422), ({"actual_tpot_ms": 1e300}, 422), ({"pool": "a/b"}, 422),
    ],
)  # fmt: skip
def test_samples_are_held_to_their_ranges(server, client, changed, status):
    entry = ONE | {"actual_ttft_ms": 100.0, "actual_tpot_ms": 20.0, "pool": "odd"} | changed
    answer = client.post(f"{server.training}/add_training_data_bulk", json={"entries": [entry]})
    assert answer.status_code == status


def test_a_client_that_hangs_up_and_idle_ones_stall_nobody(server, client):
    idle = [socket.create_connection(("127.0.0.1", server.prediction_port)) for _ in range(200)]
    idle[0].sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    idle[0].close()
    assert client.post(f"{server.predictions}/predict", json=ONE).status_code == 200
    for connection in idle[1:]:
        connection.close()


def test_it_learns_what_it_was_taught(taught, client):
    asked = entries(200, seed=9)
    answer = client.post(f"{taught.predictions}/predict/bulk/strict", json={"requests": requests(200, 9)})
    predictions = answer.json()["predictions"]
    for name in ("ttft", "tpot"):
        errors = [
            abs(said[f"{name}_ms"] / entry[f"actual_{name}_ms"] - 1.0)
            for said, entry in zip(predictions, asked, strict=True)
        ]
        assert sum(errors) / 200 < 0.25  # the noise alone makes 0.08, and the prior's error is above 0.5


def test_models_can_be_listed_read_and_taken_away(taught, client):
    listed = client.get(f"{taught.training}/models/list").json()["models"]
    assert {name: told["exists"] for name, told in listed.items()} == {
        "ttft": True, "tpot": True, "ttft_gated": False, "tpot_gated": False,
    }  # fmt: skip
    assert set(listed["ttft"]) == {"exists", "size_bytes", "last_modified"}
    statuses = {
        "/model/ttft/info": 200, "/model/tpot/download": 200, "/model/nope/info": 404,
        "/model/nope/download": 404, "/model/ttft/xgb/json": 404, "/model/ttft/lgb/txt": 200,
        "/model/tpot/lgb/importances": 200, "/model/download/info": 200,
    }  # fmt: skip
    for path, status in statuses.items():
        assert client.get(taught.training + path).status_code == status, path
    export = client.get(f"{taught.training}/model/export")
    assert export.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(export.content)) as archive:
        assert set(archive.getnames()) == {"ttft.json", "tpot.json", "metadata.json"}


def test_what_it_knows_is_told(taught, client):
    told = taught.data()
    assert set(told) >= {"training_data", "test_data", "ensemble", "metrics", "bucket_distribution"}
    assert told["model_ready"]
    assert told["training_data"]["total_samples"] + told["test_data"]["total_samples"] >= 2000
    metrics = client.get(f"{taught.training}/metrics").text
    assert "foretell_llmd_coverage_percent" in metrics
    assert "<html" in client.get(f"{taught.training}/").text


def test_what_was_acknowledged_outlives_a_kill_and_can_be_flushed(taught, client):
    before = taught.data()
    total = before["training_data"]["total_samples"] + before["test_data"]["total_samples"]
    entry = ONE | {"actual_ttft_ms": 100.0, "actual_tpot_ms": 20.0}
    body = {"entries": [entry] * 50}
    assert client.post(f"{taught.training}/add_training_data_bulk", json=body).status_code == 202
    taught.kill()
    taught.start()
    after = taught.data()
    assert after["training_data"]["total_samples"] + after["test_data"]["total_samples"] == total + 50
    assert after["model_ready"]
    flushed = client.post(f"{taught.training}/flush", json={"reason": "a test"}).json()
    assert flushed["success"]
    assert flushed["ttft_training_samples_flushed"] + flushed["ttft_test_samples_flushed"] == total + 50
    assert taught.data()["training_data"]["total_samples"] == 0
