"""Look-ups by target: what is champion, where it lies, and what to do when there is none."""

import json
import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from foretell import predictors
from foretell.errors import ArtefactError, NotRegisteredError, UnavailableError
from foretell.predictors.base import LEVELS, Prediction
from foretell.serving import registry
from foretell.training.connection import connect
from foretell.training.promotion import promote
from foretell.training.tracking import log_run


class Constant:
    """A predictor of one, give or take nothing."""

    def predict(self, rows):
        return Prediction(
            "any", "us", LEVELS, np.ones((len(rows), len(LEVELS))), np.zeros(len(rows), dtype=bool)
        )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder `mlruns` with two targets; `gemm.latency` has versions 1 and 2, of which 1 is champion."""
    folder = tmp_path_factory.mktemp("registry")
    artefact = folder / "predictor"
    artefact.mkdir()
    (artefact / "foretell.json").write_text("{}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{folder}/mlruns/mlflow.db")
        patch.setattr(predictors, "load", lambda path: Constant(), raising=False)
        for target, mape in (("gemm.latency", 5.0), ("gemm.latency", 6.0), ("gemm.energy", 7.0)):
            log_run(target, artefact, example=pl.DataFrame({"m": [1]}), params={}, metrics={"mape": mape},
                    plots=[], data_version="d4", split="row-1/ab12", commit=None)  # fmt: skip
        promote("gemm.latency", "1")
    return folder / "mlruns"


@pytest.fixture
def mlruns(trained, monkeypatch):
    """That folder as the registry in use."""
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{trained}/mlflow.db")
    return trained


@pytest.fixture
def own_mlruns(trained, tmp_path, monkeypatch):
    """A copy that a test may change; the artefacts stay where the database says they are."""
    shutil.copy(trained / "mlflow.db", tmp_path / "mlflow.db")
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def test_the_champion_comes_with_its_files_metrics_and_tags(mlruns):
    found = registry.champion("gemm.latency")
    assert (found.target, found.version, found.metrics) == ("gemm.latency", "1", {"mape": 5.0})
    assert found.tags["foretell.data_version"] == "d4"
    assert (found.path / "foretell.json").is_file()
    assert found.path.is_relative_to(mlruns / "artifacts" / found.run_id)


def test_targets_are_those_with_a_champion(mlruns):
    assert registry.targets() == ("gemm.latency",)


def test_models_lists_every_version_newest_first(mlruns):
    listed = [(model.target, model.version, model.champion) for model in registry.models()]
    assert listed == [("gemm.energy", "1", False), ("gemm.latency", "2", False), ("gemm.latency", "1", True)]
    assert [model.metrics["mape"] for model in registry.models("gemm.latency")] == [6.0, 5.0]


@pytest.mark.parametrize("target", ["gemm.energy", "attention.latency", "o'clock"])
def test_a_target_without_champion_is_told_what_there_is_and_how_to_train(mlruns, target):
    with pytest.raises(NotRegisteredError, match=rf"{target}.*gemm\.latency.*foretell train {target}"):
        registry.champion(target)


@pytest.mark.parametrize("target", ["attention.latency", "o'clock"])
def test_models_of_a_target_that_is_not_registered_are_refused(mlruns, target):
    with pytest.raises(NotRegisteredError, match="nothing is registered"):
        registry.models(target)


def test_an_empty_folder_is_no_registry_and_stays_empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORETELL_MLFLOW_URI", raising=False)
    with pytest.raises(NotRegisteredError, match="nothing yet"):
        registry.champion_version("gemm.latency")
    assert registry.targets() == registry.models() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_new_champion_is_seen_at_the_next_poll(own_mlruns):
    seen = [registry.champion_version("gemm.latency")]
    promote("gemm.latency", "2")
    seen.append(registry.champion_version("gemm.latency"))
    promote("gemm.latency", "1")
    seen.append(registry.champion_version("gemm.latency"))
    assert seen == ["1", "2", "1"]


def test_mlflow_is_not_asked_again_while_the_database_stays_as_it_is(own_mlruns, monkeypatch):
    registry.champion_version("gemm.latency")
    monkeypatch.setattr(registry.lookup, "answer", None)
    assert registry.champion_version("gemm.latency") == "1"
    registry._champions_in.cache_clear()
    assert registry.champion_version("gemm.latency") == "1", "another process reads what this one found"


def test_a_damaged_memory_of_the_last_answer_is_ignored(own_mlruns):
    (own_mlruns / registry.REMEMBERED).write_text('{"state": 1}')
    assert registry.champion_version("gemm.latency") == "1"


def test_a_moved_folder_is_named_with_the_way_out(own_mlruns, trained):
    moved = trained.with_name("moved")
    trained.rename(moved)
    try:
        with pytest.raises(
            ArtefactError, match=f"gemm.latency version 1.*{trained}.*not there.*absolute paths"
        ):
            registry.champion("gemm.latency")
    finally:
        moved.rename(trained)


def test_a_champion_that_foretell_did_not_save_is_refused(own_mlruns, tmp_path):
    client = connect()
    (tmp_path / "foreign").mkdir()
    client.create_registered_model("foreign")
    client.create_model_version("foreign", str(tmp_path / "foreign"))
    promote("foreign", "1")
    assert registry.champion_version("foreign") == "1"
    with pytest.raises(ArtefactError, match="holds no predictor of foretell"):
        registry.champion("foreign")


LIGHT = """
import json, sys
from foretell.serving import registry

asked = []
def counted(*words, ask=registry._ask_elsewhere):
    asked.append(words)
    return ask(*words)

registry._ask_elsewhere = counted
found = [registry.champion("gemm.latency").version]
found += [registry.champion_version("gemm.latency") for _ in range(3)]
print(json.dumps({"versions": found, "mlflow": "mlflow" in sys.modules, "asked": len(asked)}))
"""


def test_a_process_without_mlflow_looks_up_and_stays_without(own_mlruns):
    runs = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-P", "-c", LIGHT], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    assert [run["versions"] for run in runs] == [["1"] * 4] * 2
    assert not any(run["mlflow"] for run in runs)
    # Starting MLflow takes a second and more; the second process reads the first one's answer from a file.
    assert [run["asked"] for run in runs] == [1, 0]


def test_a_helper_that_fails_says_why(mlruns, monkeypatch):
    monkeypatch.setattr(registry.lookup, "__name__", "foretell.no_such_module")
    with pytest.raises(UnavailableError, match=r"No module named foretell\.no_such_module"):
        registry._ask_elsewhere("champions")


def test_an_error_of_the_helper_arrives_as_itself(tmp_path, monkeypatch):
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delitem(sys.modules, "mlflow")
    with pytest.raises(UnavailableError, match=f"MLflow at sqlite:///{tmp_path}/mlflow.db.*not a database"):
        registry.targets()
