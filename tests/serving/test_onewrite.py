"""Responses in one packet: what a client reads off the wire stays what HTTP asks for."""

import json
import socket

import httpx
import pytest

PREDICT = "/v1/predict/gemm.latency"


@pytest.fixture
def wire(url):
    """A bare connection to the shared server."""
    host = httpx.URL(url)
    with socket.create_connection((host.host, host.port), timeout=120) as client:
        yield client


def request(body, *headers, method="POST", path=PREDICT):
    told = (f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers)
    return "\r\n".join((*told, f"Content-Length: {len(body)}", "", "")).encode() + body


def until(client, ends):
    """What arrives until a condition holds of it."""
    read = b""
    while not ends(read):
        read += client.recv(2**16) or pytest.fail(f"closed after {read!r}")
    return read


def is_whole(read):
    return read.endswith(b"}")


def test_head_and_body_arrive_together(wire, row):
    asked = request(json.dumps({"rows": [row]}).encode())
    whole = []
    for _ in range(20):
        wire.sendall(asked)
        whole.append(is_whole(wire.recv(2**16)) or (until(wire, is_whole) and False))
    # The kernel may still tear one apart.
    assert sum(whole) >= 18


def test_requests_sent_at_once_are_answered_in_their_order(wire, row):
    bodies = [json.dumps({"rows": [row] * count}).encode() for count in (1, 3, 2)]
    wire.sendall(b"".join(map(request, bodies)))
    read = until(wire, lambda read: read.count(b'"outside":[') == 3 and is_whole(read))
    answers = [part.split(b"\r\n\r\n")[1] for part in read.split(b"HTTP/1.1 200 OK")[1:]]
    assert [len(json.loads(answer)["values"]) for answer in answers] == [1, 3, 2]


def test_a_connection_is_closed_after_the_answer_where_the_client_asks(wire, row):
    wire.sendall(request(json.dumps({"rows": [row]}).encode(), "Connection: close"))
    read = until(wire, is_whole)
    assert b"connection: close" in read
    assert wire.recv(1) == b""


def test_a_client_that_waits_for_permission_gets_it(wire, row):
    whole = request(json.dumps({"rows": [row]}).encode(), "Expect: 100-continue")
    head, body = whole.split(b"\r\n\r\n", 1)
    wire.sendall(head + b"\r\n\r\n")
    assert until(wire, lambda read: b"\r\n\r\n" in read).startswith(b"HTTP/1.1 100 Continue")
    wire.sendall(body)
    assert until(wire, is_whole).startswith(b"HTTP/1.1 200")


def test_a_body_too_large_is_refused_before_permission(wire):
    wire.sendall(request(b" " * 2**25, "Expect: 100-continue").split(b"\r\n\r\n")[0] + b"\r\n\r\n")
    assert until(wire, is_whole).startswith(b"HTTP/1.1 413")


def test_a_head_comes_without_a_body(http):
    answer = http.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_large_answer_arrives_whole(http, row):
    answer = http.post(PREDICT, json={"rows": [row] * 20_000, "levels": [0.1, 0.3, 0.5, 0.7, 0.9]})
    assert len(answer.content) > 1_000_000
    assert len(answer.json()["values"]) == 20_000
