"""New champions, seen over HTTP: no request fails, and nothing broken replaces what works."""

import threading
import time
from itertools import groupby

import httpx
import pytest

from foretell.errors import ArtefactError, UnavailableError
from foretell.serving import registry
from foretell.serving.champions import Champions
from foretell.serving.options import DEFAULTS
from foretell.serving.refusals import UnknownTargetError
from foretell.training.connection import connect
from foretell.training.promotion import promote

TARGET = "gemm.latency"
PREDICT = f"/v1/predict/{TARGET}"


class Asker(threading.Thread):
    """Asks hundreds of times a second, and keeps what came back."""

    def __init__(self, url, row):
        super().__init__()
        self.url, self.row = url, row
        self.ended = threading.Event()
        self.statuses = set()
        self.versions = []

    def run(self):
        with httpx.Client(base_url=self.url, timeout=120) as client:
            while not self.ended.is_set():
                answer = client.post(PREDICT, json={"rows": [self.row]})
                self.statuses.add(answer.status_code)
                self.versions.append(answer.json().get("version"))
                # MLflow's look-up needs a processor too.
                time.sleep(0.005)


def until(answer, expected, seconds=300):
    """Waits for what a condition should become; a lookup starts MLflow, which takes seconds when busy."""
    deadline = time.monotonic() + seconds
    while (found := answer()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def test_no_request_fails_while_the_champion_changes_twice(own_registry, serve, row):
    with serve(poll_s=0.1) as url, httpx.Client(base_url=url, timeout=120) as http:
        askers = [Asker(url, row) for _ in range(3)]
        for asker in askers:
            asker.start()
        for version in ("1", "2", "1"):
            promote(TARGET, version)
            ready = until(lambda: http.get("/readyz").json()["targets"], {TARGET: version})
            assert ready == {TARGET: version}
            # The server is ready before each asker has asked again.
            newest = until(lambda: [asker.versions[-1:] for asker in askers], [[version]] * len(askers))
            assert newest == [[version]] * len(askers)
        for asker in askers:
            asker.ended.set()
            asker.join()
        reloads = http.get("/metrics").text
    assert {status for asker in askers for status in asker.statuses} == {200}
    assert "foretell_reloads_total 3.0" in reloads
    for asker in askers:
        seen = [version for version, _ in groupby(asker.versions)]
        assert seen == ["1", "2", "1"]


@pytest.fixture
def champions(own_registry):
    """Champions with version 1 loaded."""
    made = Champions(DEFAULTS)
    made.refresh()
    return made


def register(source):
    """A version of the target whose files are in the folder `source`."""
    return connect().create_model_version(TARGET, str(source)).version


def test_the_champion_is_loaded_and_only_loaded_anew_when_it_changes(champions):
    first = champions.find(TARGET)
    champions.refresh()
    assert champions.find(TARGET) is first
    promote(TARGET, "2")
    champions.refresh()
    assert (first.version, champions.find(TARGET).version, champions.reloads) == ("1", "2", 2)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut"])
def test_an_artefact_that_does_not_load_leaves_the_last_good_model(champions, tmp_path, damage):
    model = tmp_path / "broken"
    saved = model / "data" / "model"
    if damage != "missing":
        saved.mkdir(parents=True)
    if damage == "empty":
        (saved / "foretell.json").write_text("")
    if damage == "cut":
        whole = registry.champion(TARGET).path.joinpath("foretell.json").read_text()
        (saved / "foretell.json").write_text(whole[:-200])
    promote(TARGET, register(model))
    champions.refresh()
    assert champions.find(TARGET).version == "1"
    assert isinstance(champions.stale[TARGET], ArtefactError)
    assert champions.failures == 1
    promote(TARGET, "2")
    champions.refresh()
    assert (champions.find(TARGET).version, champions.stale) == ("2", {})


def test_a_registry_out_of_reach_leaves_the_models(champions, own_registry, monkeypatch):
    (own_registry / "mlflow.db").write_text("this is no database" * 100)
    champions.refresh()
    assert champions.find(TARGET).version == "1"
    assert isinstance(champions.problem, UnavailableError)


def test_an_alias_withdrawn_leaves_the_model_and_is_told(champions):
    connect().delete_registered_model_alias(TARGET, "champion")
    champions.refresh()
    assert champions.find(TARGET).version == "1"
    assert TARGET in champions.stale


def test_without_a_model_the_reason_is_told(own_registry, tmp_path):
    champions = Champions(DEFAULTS)
    promote(TARGET, register(tmp_path / "nowhere"))
    champions.refresh()
    with pytest.raises(ArtefactError, match="is not there"):
        champions.find(TARGET)
    with pytest.raises(UnknownTargetError, match="there is none yet"):
        champions.find("tea.time")


def test_a_server_without_any_model_waits_for_one(own_registry, serve, row):
    client = connect()
    client.delete_registered_model_alias(TARGET, "champion")
    with serve(poll_s=0.1, until="/healthz") as url, httpx.Client(base_url=url, timeout=120) as http:
        ready = http.get("/readyz")
        assert (ready.status_code, ready.json()["ready"]) == (503, False)
        assert http.post(PREDICT, json={"rows": [row]}).status_code == 404
        promote(TARGET, "1")
        assert until(lambda: http.get("/readyz").status_code, 200) == 200
        assert http.post(PREDICT, json={"rows": [row]}).status_code == 200


def test_reasons_are_told_to_whoever_has_the_token(own_registry, serve, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_TOKEN", "open sesame")
    promote(TARGET, register(tmp_path / "nowhere"))
    with serve(until="/healthz") as url, httpx.Client(base_url=url, timeout=120) as http:
        stranger = http.get("/readyz")
        known = http.get("/readyz", headers={"Authorization": "Bearer open sesame"})
    assert stranger.status_code == known.status_code == 503
    assert str(tmp_path) in known.json()["stale"][TARGET]
    assert str(tmp_path) not in stranger.text
    assert stranger.json()["stale"].keys() == known.json()["stale"].keys()


def test_a_registry_that_cannot_be_read_at_the_start_is_told_as_503(own_registry, serve, row):
    (own_registry / "mlflow.db").write_text("this is no database" * 100)
    with serve(until="/healthz") as url, httpx.Client(base_url=url, timeout=120) as http:
        answers = [http.get("/readyz"), http.post(PREDICT, json={"rows": [row]})]
    assert [answer.status_code for answer in answers] == [503, 503]
    assert answers[0].json()["problem"] == answers[1].json()["message"]
    assert answers[1].json()["error"] == "UnavailableError"
