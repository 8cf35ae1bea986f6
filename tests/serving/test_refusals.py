"""Bad requests over a real server: a 4xx that names field, value and expectation, and never a stack."""

import io
import json
import socket
import time

import httpx
import polars as pl
import pytest

from foretell import errors
from foretell.serving import refusals
from foretell.serving.refusals import STATUSES, error_of, refusal_of, status_of

PREDICT = "/v1/predict/gemm.latency"
JSON = {"Content-Type": "application/json"}
GONE = 'foretell_requests_total{route="/v1/predict/{target}",status="499"}'
ARROW = {"Content-Type": "application/vnd.apache.arrow.stream"}


def refused(response, status, field):
    """The body of a refusal, checked for its form."""
    body = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/json"), body
    assert set(body) == {"error", "message", "field", "value", "expected"}
    assert body["field"] == field, body
    assert body["expected"]
    assert "Traceback" not in response.text
    return body


def stream(frame):
    sink = io.BytesIO()
    frame.write_ipc_stream(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"dtype": "float99"}, "rows[1].dtype", ("'float99'", "bfloat16")),
        ({"dtype": None}, "rows[1].dtype", ("None", "bfloat16")),
        ({"device": "abacus"}, "device", ("'abacus'", "h100")),
        ({"device": "a100"}, "device", ("'a100'", "an exact device")),
        ({"device": ""}, "rows[1].device", ("''", "1 to 64 characters")),
        ({"device": "x" * 1000}, "rows[1].device", ("xxx", "1 to 64 characters")),
        ({"colour": "red"}, "rows[1].colour", ("'red'", "only the fields m, n, k")),
        ({"m": 0}, "rows[1].m", ("0", "an integer from 1")),
        ({"n": -5}, "rows[1].n", ("-5", "an integer from 1")),
        ({"k": 10**9}, "rows[1].k", ("1000000000", "to 16777216")),
        ({"m": "64"}, "rows[1].m", ("'64'", "an integer")),
        ({"m": 1.5}, "rows[1].m", ("1.5", "an integer")),
        ({"m": True}, "rows[1].m", ("True", "an integer")),
        ({"m": None}, "rows[1].m", ("None", "an integer")),
        ({"m": [1]}, "rows[1].m", ("[1]", "an integer")),
        ({"m": 2**24, "n": 2**24, "k": 2**24}, "m, n, k", ("16777216", "GB")),
    ],
)
def test_a_row_that_does_not_fit_is_named(http, row, change, field, told):
    body = refused(http.post(PREDICT, json={"rows": [row, {**row, **change}]}), 422, field)
    assert told[0] in body["value"]
    assert told[1] in body["expected"]


@pytest.mark.parametrize("name", ["m", "dtype", "device"])
def test_a_missing_field_is_named(http, row, name):
    del row[name]
    refused(http.post(PREDICT, json={"rows": [row]}), 422, f"rows[0].{name}")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"rows": []}, "rows"),
        ({"rows": None}, "rows"),
        ({"rows": {}}, "rows"),
        ({}, "rows"),
        ({"rows": [7]}, "rows[0]"),
        ([], "body"),
        ("rows", "body"),
        ({"rows": "good", "extra": 1}, "extra"),
    ],
)
def test_a_body_of_another_form_is_refused(http, body, field):
    refused(http.post(PREDICT, json=body), 422, field)


@pytest.mark.parametrize(
    "levels", [[], [0], [1.0], [0.5, 0.5], [0.9, 0.1], ["0.5"], 0.5, "0.5", [0.5] * 33, [-0.1], [None]]
)
def test_levels_that_are_none_are_refused(http, row, levels):
    refused(http.post(PREDICT, json={"rows": [row], "levels": levels}), 422, "levels")


@pytest.mark.parametrize(
    "query", ["levels=", "levels=x", "levels=0.5,nan", "levels=0.9,0.1", "levels=0.5,,0.6"]
)
def test_levels_in_the_address_are_held_to_the_same(http, row, query):
    refused(http.post(f"{PREDICT}?{query}", json={"rows": [row]}), 422, "levels")


def test_an_unknown_parameter_is_refused(http, row):
    refused(http.post(f"{PREDICT}?level=0.5", json={"rows": [row]}), 422, "level")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"rows": "\xff"}', b'{"rows": [{"m": NaN}]}', b'{"rows": [{"m": Infinity}]}',
     b"[" * 100_000, b'{"rows": [' + b'{"m":' * 50_000, b"m=1&n=2", b'{"rows": [}'],
)  # fmt: skip
def test_what_is_no_json_is_refused_with_the_place(http, body):
    refused(http.post(PREDICT, content=body, headers=JSON), 400, "body")


@pytest.mark.parametrize(("number", "field"), [("1e999", "body"), ("9" * 400, "rows[0].n")])
def test_a_number_beyond_64_bits_is_refused(http, row, number, field):
    body = json.dumps({"rows": [row]}).replace("1024", number)
    refused(http.post(PREDICT, content=body, headers=JSON), 422, field)


@pytest.mark.parametrize(
    "form",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/*"],
)
def test_another_content_type_is_refused(http, row, form):
    headers = {} if form is None else {"Content-Type": form}
    content = json.dumps({"rows": [row]}).encode()
    refused(http.post(PREDICT, content=content, headers=headers), 415, "content-type")


@pytest.mark.parametrize("form", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
def test_parameters_and_case_of_a_content_type_do_not_matter(http, row, form):
    content = json.dumps({"rows": [row]}).encode()
    assert http.post(PREDICT, content=content, headers={"Content-Type": form}).status_code == 200


@pytest.mark.parametrize("target", ["tea.time", "gemm.latency/", "gemm", "%00", "..%2f..", "x" * 2000])
def test_a_target_that_is_not_registered_is_refused_with_those_that_are(http, row, target):
    body = refused(http.post(f"/v1/predict/{target}", json={"rows": [row]}), 404, "target")
    assert (body["error"], body["expected"]) == ("UnknownTargetError", "one of gemm.latency")


def test_a_path_that_leads_nowhere_is_refused(http):
    refused(http.get("/v1/predictions"), 404, "path")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", PREDICT, "POST"),
        ("DELETE", PREDICT, "POST"),
        ("POST", "/v1/targets", "GET"),
        ("PUT", "/docs", "GET"),
    ],
)
def test_a_method_that_a_path_has_not_is_refused_with_those_it_has(http, method, path, allow):
    response = http.request(method, path)
    refused(response, 405, "method")
    assert allow in response.headers["allow"]


def test_a_body_of_100_mb_is_refused(http):
    response = http.post(PREDICT, content=b" " * 100_000_000, headers=JSON)
    assert "100000000 bytes" in refused(response, 413, "body")["value"]
    assert http.get("/healthz").status_code == 200


def test_a_body_too_large_is_refused_before_any_of_it_arrives(url):
    host = httpx.URL(url)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host.host, host.port), timeout=120) as client:
        client.sendall(f"{head}Content-Length: 100000000\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_a_body_of_unknown_length_is_refused_once_it_is_too_long(http):
    chunks = (b" " * 1_000_000 for _ in range(100))
    refused(http.post(PREDICT, content=chunks, headers=JSON), 413, "body")


def test_a_body_in_chunks_is_read_to_its_end(http, row):
    body = json.dumps({"rows": [row]}).encode()
    response = http.post(PREDICT, content=(body[at : at + 7] for at in range(0, len(body), 7)), headers=JSON)
    assert response.status_code == 200


def test_too_many_rows_are_refused(http, row):
    short = {"m": 1, "n": 1, "k": 1, "dtype": "fp8", "device": "h100"}
    body = b'{"rows":[' + b",".join([json.dumps(short).encode()] * 100_001) + b"]}"
    assert "100001" in refused(http.post(PREDICT, content=body, headers=JSON), 413, "rows")["value"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dtype": "float99"}, "rows[0].dtype"),
        ({"m": 0}, "rows[0].m"),
        ({"m": 1.5}, "m"),
        ({"m": "64"}, "m"),
        ({"m": float("nan")}, "m"),
        ({"colour": "red"}, "colour"),
        ({"device": "abacus"}, "device"),
        ({"m": [1, 2]}, "m"),
    ],
)
def test_a_column_that_does_not_fit_is_named(http, row, change, field):
    frame = pl.DataFrame([{**row, **change}])
    refused(http.post(PREDICT, content=stream(frame), headers=ARROW), 422, field)


def test_a_stream_without_rows_or_columns_is_refused(http, row):
    frame = pl.DataFrame([row])
    refused(http.post(PREDICT, content=stream(frame.clear()), headers=ARROW), 422, "rows")
    refused(http.post(PREDICT, content=stream(frame.drop("m")), headers=ARROW), 422, "m")


@pytest.mark.parametrize("keep", [0, 1, 8, 0.5, -1, -8])
def test_a_stream_that_ends_early_is_refused(http, row, keep):
    whole = stream(pl.DataFrame([row] * 10))
    cut = whole[: int(len(whole) * keep) if isinstance(keep, float) else keep]
    refused(http.post(PREDICT, content=cut, headers=ARROW), 400, "body")


def test_json_that_says_it_is_arrow_is_refused(http, row):
    refused(http.post(PREDICT, json={"rows": [row]}, headers=ARROW), 400, "body")


def test_a_length_that_is_no_number_is_refused(url):
    host = httpx.URL(url)
    with socket.create_connection((host.host, host.port), timeout=120) as client:
        client.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 400")


def test_clients_that_hang_up_leave_the_server_well(http, url):
    host = httpx.URL(url)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

    def gone():
        lines = http.get("/metrics").text.splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(GONE))

    before = gone()
    for _ in range(20):
        with socket.create_connection((host.host, host.port), timeout=120) as client:
            client.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    deadline = time.monotonic() + 120
    while gone() < before + 20 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone() == before + 20
    assert http.get("/readyz").status_code == 200


EVERY = [
    errors.InputError("rows[0].m", 0, "one"),
    errors.NotRegisteredError("no champion"),
    errors.UnavailableError("no registry"),
    errors.ArtefactError("no files"),
    refusals.MalformedError("body", "{", "JSON"),
    refusals.MediaTypeError("content-type", "x", "JSON"),
    refusals.TooLargeError("body", "2 bytes", "at most 1"),
    refusals.TokenError("authorization", "", "a token"),
    refusals.RouteError("path", "/x", "another"),
    refusals.MethodError("GET", "POST"),
    refusals.UnknownTargetError("target", "x", "one of y"),
]


@pytest.mark.parametrize("error", EVERY, ids=lambda error: type(error).__name__)
def test_every_error_has_a_status_and_survives_the_journey(error):
    again = error_of(refusal_of(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert refusal_of(again) == refusal_of(error)
    assert status_of(again) == status_of(error) >= 400


def test_the_table_of_statuses_covers_the_tree():
    def below(kind):
        return {kind}.union(*map(below, kind.__subclasses__()))

    tree = {kind for kind in below(errors.ForetellError) if kind.__module__.startswith("foretell")}
    assert set(STATUSES) <= tree
    assert {type(error) for error in EVERY} | {errors.ForetellError} >= {
        kind for kind in tree if kind.__module__ in ("foretell.errors", refusals.__name__)
    }
