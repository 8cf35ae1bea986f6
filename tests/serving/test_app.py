"""Routes over a real server: what they answer."""

import io
import json

import numpy as np
import polars as pl
import pytest

from foretell.serving import api
from foretell.serving.arrow import prediction_of
from foretell.serving.options import DEFAULTS

PREDICT = "/v1/predict/gemm.latency"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture
def model(workspace):
    """The same model in process."""
    return api.Foretell("gemm.latency")


@pytest.fixture
def rows(row):
    """Rows of several sizes, one of them far from anything seen."""
    return [{**row, "m": m} for m in (1, 33, 1024, 2**20)]


def arrow(rows):
    sink = io.BytesIO()
    pl.DataFrame(rows).write_ipc_stream(sink)
    return sink.getvalue()


def test_json_answers_equal_those_in_process_to_the_bit(http, model, rows):
    answer = http.post(PREDICT, json={"rows": rows}).raise_for_status().json()
    expected = model.predict(rows)
    assert answer["values"] == expected.values.tolist()
    assert answer["outside"] == expected.outside.tolist() == [False, False, False, True]
    assert (answer["target"], answer["unit"], answer["version"]) == ("gemm.latency", "us", model.version)
    assert answer["levels"] == [0.05, 0.5, 0.95]


def test_one_row_equals_the_same_row_among_others(http, rows):
    together = http.post(PREDICT, json={"rows": rows}).json()["values"]
    alone = [http.post(PREDICT, json={"rows": [row]}).json()["values"][0] for row in rows]
    # Scalar and vector code differ in the last bits of a logarithm.
    np.testing.assert_allclose(alone, together, rtol=1e-9)


def test_an_arrow_stream_is_answered_in_json_and_on_request_in_arrow(http, model, rows):
    plain = http.post(PREDICT, content=arrow(rows), headers={"Content-Type": ARROW}).raise_for_status()
    assert plain.headers["content-type"] == "application/json"
    same = http.post(PREDICT, content=arrow(rows), headers={"Content-Type": ARROW, "Accept": ARROW})
    assert same.headers["content-type"] == ARROW
    prediction = prediction_of(same.content)
    np.testing.assert_array_equal(prediction.values, model.predict(rows).values)
    assert plain.json()["values"] == prediction.values.tolist()
    assert (prediction.target, prediction.unit, prediction.levels) == (
        "gemm.latency", "us", (0.05, 0.5, 0.95),
    )  # fmt: skip


def test_levels_stand_in_the_body_or_in_the_address(http, row, model):
    expected = model.predict(row, (0.1, 0.9)).values.tolist()
    inside = http.post(PREDICT, json={"rows": [row], "levels": [0.1, 0.9]})
    outside = http.post(f"{PREDICT}?levels=0.1,0.9", json={"rows": [row]})
    frame = http.post(f"{PREDICT}?levels=0.1,0.9", content=arrow([row]), headers={"Content-Type": ARROW})
    assert inside.json()["values"] == outside.json()["values"] == expected
    np.testing.assert_allclose(frame.json()["values"], expected, rtol=1e-9)
    both = http.post(f"{PREDICT}?levels=0.1,0.9", json={"rows": [row], "levels": [0.1]})
    assert both.status_code == 422


def test_a_described_but_unmeasured_device_is_answered_wider_and_flagged(http, row):
    known, unknown = (
        http.post(PREDICT, json={"rows": [{**row, "device": device}]}).json() for device in ("h100", "mi300x")
    )
    assert (known["outside"], unknown["outside"]) == ([False], [True])
    ratio = [answer["values"][0][2] / answer["values"][0][0] for answer in (known, unknown)]
    assert ratio[1] > ratio[0]


def test_a_large_body_is_answered_like_a_small_one(http, row):
    many = [{**row, "m": 1 + number % 1000} for number in range(3000)]
    body = json.dumps({"rows": many})
    assert len(body) > DEFAULTS.thread_body_bytes, "long enough to be answered in a thread"
    answer = http.post(PREDICT, content=body, headers={"Content-Type": "application/json"}).json()
    few = http.post(PREDICT, json={"rows": many[:10]}).json()
    np.testing.assert_allclose(answer["values"][:10], few["values"], rtol=1e-9)
    assert len(answer["values"]) == len(answer["outside"]) == 3000


def test_targets_say_what_a_row_holds(http, row):
    (target,) = http.get("/v1/targets").json()["targets"]
    assert (target["target"], target["unit"], target["stale"]) == ("gemm.latency", "us", "")
    fields = {field["name"]: field for field in target["fields"]}
    assert set(fields) == set(row)
    assert fields["m"] == {"name": "m", "expected": "an integer from 1 to 16777216", "required": True}
    assert not fields["backend"]["required"]


def test_models_are_those_of_the_registry(http, workspace):
    (model,) = http.get("/v1/models").json()["models"]
    assert (model["target"], model["version"], model["champion"]) == ("gemm.latency", "1", True)
    assert model["metrics"]
    assert "location" not in model, "where files lie is nobody's business outside"


def test_probes_answer(http):
    assert http.get("/healthz").json() == {"status": "ok"}
    ready = http.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["targets"] == {"gemm.latency": "1"}


def test_metrics_count_requests_rows_and_rows_outside(http, rows):
    def counted(name):
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(name))

    names = {
        'foretell_requests_total{route="/v1/predict/{target}",status="200"}': 2,
        'foretell_requests_total{route="/v1/predict/{target}",status="404"}': 1,
        'foretell_request_seconds_count{route="/v1/predict/{target}"}': 3,
        'foretell_rows_total{target="gemm.latency"}': 8,
        'foretell_rows_outside_total{target="gemm.latency"}': 2,
    }
    before = {name: counted(name) for name in names}
    for path in (PREDICT, PREDICT, "/v1/predict/tea.time"):
        http.post(path, json={"rows": rows})
    assert {name: counted(name) - before[name] for name in names} == names
    assert counted('foretell_model_info{target="gemm.latency",version="1"}') == 1
    assert counted('foretell_model_stale{target="gemm.latency"}') == 0
    assert counted('foretell_model_age_seconds{target="gemm.latency"}') > 0


def test_unknown_paths_share_one_label(http):
    for number in range(3):
        http.get(f"/nothing/{number}")
    assert "/nothing" not in http.get("/metrics").text


def test_the_page_reads_nothing_from_elsewhere(http):
    page = http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "openapi.json" in page.text
    assert "http" not in page.text.replace("http-equiv", "")
