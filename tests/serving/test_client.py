"""The client: over the network as in process, in answers and in errors."""

import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError, NotRegisteredError, UnavailableError
from foretell.serving import api
from foretell.serving.bench import free_port
from foretell.serving.client import Client
from foretell.serving.refusals import TokenError

TARGET = "gemm.latency"


@pytest.fixture
def client(url):
    """A client of the shared server."""
    with Client(url, timeout_s=120) as made:
        yield made


@pytest.fixture
def rows(row):
    return [{**row, "m": m} for m in (1, 100, 2**20)]


@pytest.mark.parametrize("form", [list, pl.DataFrame, lambda rows: rows[0]], ids=["rows", "frame", "row"])
@pytest.mark.parametrize("levels", [(0.05, 0.5, 0.95), (0.25,)])
def test_answers_equal_those_in_process(client, workspace, rows, form, levels):
    asked = form(rows)
    far, near = client.predict(TARGET, asked, levels), api.Foretell(TARGET).predict(asked, levels)
    np.testing.assert_array_equal(far.values, near.values)
    np.testing.assert_array_equal(far.outside, near.outside)
    assert (far.target, far.unit, far.levels) == (near.target, near.unit, near.levels)


@pytest.mark.parametrize(
    "change", [{"m": 0}, {"dtype": "float99"}, {"device": "abacus"}, {"colour": "red"}, {"m": "1"}]
)
@pytest.mark.parametrize("form", [list, pl.DataFrame], ids=["rows", "frame"])
def test_errors_equal_those_in_process(client, workspace, row, change, form):
    asked = form([{**row, **change}])
    with pytest.raises(InputError) as near:
        api.Foretell(TARGET).predict(asked)
    with pytest.raises(InputError) as far:
        client.predict(TARGET, asked)
    assert str(far.value) == str(near.value)
    assert (far.value.field, far.value.expected) == (near.value.field, near.value.expected)


def test_a_target_that_is_not_registered_is_refused_as_in_process(client, row):
    with pytest.raises(NotRegisteredError, match=r"gemm\.latency"):
        client.predict("tea.time", row)


def test_what_is_served_can_be_asked(client, workspace):
    assert client.healthy()
    assert [target.target for target in client.targets()] == [TARGET]
    assert [(model.target, model.version) for model in client.models()] == [(TARGET, "1")]


def test_a_server_that_is_not_there_is_unavailable(row):
    with Client(f"http://127.0.0.1:{free_port()}", timeout_s=120) as nobody:
        assert not nobody.healthy()
        with pytest.raises(UnavailableError, match="does not answer"):
            nobody.predict(TARGET, row)


def test_a_token_travels_along(workspace, serve, row, monkeypatch):
    monkeypatch.setenv("FORETELL_TOKEN", "open sesame")
    with serve() as url:
        with Client(url, token="open sesame", timeout_s=120) as known:
            assert known.predict(TARGET, row).values.shape == (1, 3)
        with Client(url, timeout_s=120) as stranger, pytest.raises(TokenError):
            stranger.predict(TARGET, row)
