"""A training is a run with a registered model; the champion only moves to a better one."""

import asyncio
import json
import logging
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import httpx
import numpy as np
import polars as pl
import pytest

from foretell import predictors
from foretell.errors import InputError, NotRegisteredError, UnavailableError
from foretell.predictors.base import LEVELS, Prediction
from foretell.training.connection import LEVELS as LOGGER_LEVELS
from foretell.training.connection import connect, tracking_uri
from foretell.training.promotion import CHAMPION, promote, promote_if_better
from foretell.training.tracking import log_run

TARGET = "gemm.latency"
EXAMPLE = pl.DataFrame({"m": [1, 2], "dtype": ["float32", "float16"], "backend": ["torch", "torch"]})


class Doubling:
    """A predictor of twice m, give or take one."""

    def predict(self, rows):
        values = 2.0 * rows["m"].to_numpy()[:, None] + np.array([-1.0, 0.0, 1.0])
        return Prediction(TARGET, "us", LEVELS, values, np.zeros(len(rows), dtype=bool))


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory):
    """MLflow's tables, made once because that takes seconds."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{folder}/mlflow.db")
        connect()
    return folder / "mlflow.db"


@pytest.fixture
def mlruns(empty_database, tmp_path, monkeypatch):
    """The default place, under a current folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORETELL_MLFLOW_URI", raising=False)
    monkeypatch.setattr(predictors, "load", lambda path: Doubling(), raising=False)
    folder = tmp_path / "mlruns"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return folder


@pytest.fixture
def log(mlruns, tmp_path):
    """Log a training; keywords replace those of `log_run`."""
    artefact = tmp_path / "predictor"
    artefact.mkdir()
    (artefact / "foretell.json").write_text("{}")
    plot = tmp_path / "error.svg"
    plot.write_text("<svg/>")

    def log_training(mape=5.0, **keywords):
        defaults = {
            "example": EXAMPLE, "params": {"leaves": 31, "family": "gbm"}, "metrics": {"mape": mape},
            "plots": [plot], "data_version": "d4", "split": "row-1/ab12", "commit": None,
            "optional": ["backend"],
        }  # fmt: skip
        return log_run(TARGET, artefact, **(defaults | keywords))

    return log_training


def champion():
    return str(connect().get_registered_model(TARGET).aliases.get(CHAMPION))


def test_a_run_records_what_was_trained_on_what(log):
    logged = log(commit="0123abc")
    run = connect().get_run(logged.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"leaves": "31", "family": "gbm"}
    assert run.data.metrics == {"mape": 5.0}
    expected = {
        "data_version": "d4",
        "split": "row-1/ab12",
        "score": "mape",
        "commit": "0123abc",
        "version": "0.1.0",
    }
    assert {f"foretell.{key}": value for key, value in expected.items()}.items() <= run.data.tags.items()
    assert [file.path for file in connect().list_artifacts(logged.run_id, "plots")] == ["plots/error.svg"]


def test_without_a_checkout_the_run_says_so(log):
    assert connect().get_run(log().run_id).data.tags["foretell.commit"] == "not a checkout"


def test_versions_count_up_and_lie_in_mlruns(log, mlruns):
    logged = [log(), log()]
    assert [(model.name, model.version) for model in logged] == [(TARGET, "1"), (TARGET, "2")]
    for model in logged:
        assert (mlruns / "artifacts" / model.run_id / "artifacts/model/MLmodel").is_file()


def test_the_registered_model_answers_through_mlflow(log, mlruns):
    import mlflow.pyfunc

    model = log()
    folder = mlruns / "artifacts" / model.run_id / "artifacts/model"
    answer = mlflow.pyfunc.load_model(str(folder)).predict(EXAMPLE.drop("backend").to_pandas())
    assert answer.to_dict("list") == {"q0.05": [1.0, 3.0], "q0.5": [2.0, 4.0], "q0.95": [3.0, 5.0]}


def test_the_artefact_holds_neither_code_nor_pickle(log, mlruns):
    log()
    files = {path.name for path in mlruns.glob("artifacts/*/artifacts/model/**/*") if path.is_file()}
    assert "foretell.json" in files
    assert {name.rpartition(".")[2] for name in files} <= {"json", "yaml", "txt", "MLmodel"}


def test_mlflow_serves_the_model_over_http(log, mlruns):
    """Through the application that ``mlflow models serve`` runs."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init

    model = log()
    folder = mlruns / "artifacts" / model.run_id / "artifacts/model"
    reply = asyncio.run(
        post(init(load_model(str(folder))), (folder / "serving_input_example.json").read_bytes())
    )
    assert reply.json() == {
        "predictions": [{"q0.05": 1.0, "q0.5": 2.0, "q0.95": 3.0}, {"q0.05": 3.0, "q0.5": 4.0, "q0.95": 5.0}]
    }


async def post(app, body):
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.post("/invocations", content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("metrics", [{}, {"mape": float("nan")}, {"coverage_90": 0.9}])
def test_a_run_without_a_finite_score_is_refused(log, metrics):
    with pytest.raises(InputError, match="score: got 'mape', expected a finite metric"):
        log(metrics=metrics)


def test_a_training_whose_logging_fails_leaves_a_failed_run_and_no_version(log, tmp_path):
    with pytest.raises(UnavailableError, match=r"lost\.svg"):
        log(plots=[tmp_path / "lost.svg"])
    (experiment,) = [e.experiment_id for e in connect().search_experiments() if e.name == TARGET]
    assert [run.info.status for run in connect().search_runs([experiment])] == ["FAILED"]
    assert connect().search_registered_models() == []


def test_the_first_version_becomes_champion(log):
    log()
    assert promote_if_better(TARGET, "1").promoted
    assert champion() == "1"


@pytest.mark.parametrize(("mape", "holder"), [(4.9, "2"), (5.0, "1"), (5.1, "1")])
def test_only_a_strictly_better_score_moves_the_champion(log, mape, holder):
    for score in (5.0, mape):
        result = promote_if_better(TARGET, log(score).version)
    assert champion() == holder
    assert result.promoted == (holder == "2")
    assert f"mape {mape:g} is {'' if result.promoted else 'not '}below 5 of version 1" in result.reason


def test_another_split_is_not_compared(log):
    for mape, split in ((5.0, "row-1/ab12"), (1.0, "row-1/cd34")):
        result = promote_if_better(TARGET, log(mape, split=split).version)
    assert champion() == "1"
    assert "row-1/cd34" in result.reason
    assert "row-1/ab12" in result.reason


@pytest.mark.parametrize(("champion_score", "holder"), [(2.5, "2"), (1.5, "1")])
def test_the_old_champion_scored_on_the_new_split_decides(log, champion_score, holder):
    promote_if_better(TARGET, log(1.0).version)
    promote_if_better(TARGET, log(2.0, split="site-1/ef56").version, champion_score=champion_score)
    assert champion() == holder


def test_a_champion_score_must_be_a_number(log):
    with pytest.raises(InputError, match="champion_score"):
        promote_if_better(TARGET, "1", champion_score=float("nan"))


def test_a_person_may_promote_a_worse_version_and_that_is_on_record(log):
    promote_if_better(TARGET, log(5.0).version)
    promote(TARGET, log(6.0).version)
    assert champion() == "2"
    assert connect().get_model_version(TARGET, "2").tags["foretell.promotion"].startswith("by hand")


def test_the_champion_cannot_beat_itself(log):
    log()
    assert [promote_if_better(TARGET, "1").promoted for _ in range(2)] == [True, False]


@pytest.mark.parametrize("call", [promote, promote_if_better])
@pytest.mark.parametrize("version", ["7", "newest"])
def test_a_version_that_is_not_there_cannot_be_promoted(log, call, version):
    log()
    with pytest.raises(NotRegisteredError, match=f"{TARGET} has no version {version}"):
        call(TARGET, version)


def test_of_trainings_that_end_at_once_the_best_wins(log):
    scores = [4.0, 2.0, 3.0, 5.0]
    versions = [log(score).version for score in scores]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: promote_if_better(TARGET, version), versions))
    assert champion() == versions[1]


FIRST_RUN = "from foretell.training.connection import connect; print(len(connect().search_experiments()))"


def test_two_first_runs_at_once_share_a_new_database_in_silence(tmp_path, monkeypatch):
    monkeypatch.delenv("FORETELL_MLFLOW_URI", raising=False)
    start = [sys.executable, "-P", "-c", FIRST_RUN]
    first = [subprocess.Popen(start, cwd=tmp_path, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    assert [process.communicate() for process in first] == [("1\n", "")] * 2


def test_telemetry_is_off(mlruns):
    connect()
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()


def test_the_levels_of_loggers_come_back(mlruns):
    before = {name: logging.getLogger(name).level for name in LOGGER_LEVELS}
    connect()
    assert {name: logging.getLogger(name).level for name in LOGGER_LEVELS} == before


def test_an_error_of_mlflow_comes_without_a_stack_in_the_log(log, mlruns, caplog, monkeypatch):
    """MLflow's database layer also logs, with a stack, the error that it raises."""
    log()
    with closing(sqlite3.connect(mlruns / "mlflow.db")) as database:
        database.execute("DROP TABLE model_version_tags")
    monkeypatch.setattr(logging.getLogger("mlflow.store.db.utils"), "handlers", [caplog.handler])
    with pytest.raises(UnavailableError, match="no such table: model_version_tags"):
        promote(TARGET, "1")
    assert caplog.records == []


def test_a_server_that_is_not_there_is_named_without_its_password(mlruns, monkeypatch):
    monkeypatch.setenv("FORETELL_MLFLOW_URI", "http://user:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(UnavailableError, match=r"MLflow at http://127\.0\.0\.1:9") as caught:
        connect()
    assert "secret" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/file/mlflow.db")
    with pytest.raises(UnavailableError, match=f"{tmp_path}/file"):
        connect()


def test_the_default_is_sqlite_in_mlruns(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORETELL_MLFLOW_URI", raising=False)
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlruns/mlflow.db"


def test_importing_the_modules_does_not_import_mlflow():
    code = (
        "import sys, json, foretell.training.promotion, foretell.training.tracking, foretell.training.pyfunc;"
    )
    code += "print(json.dumps(sorted({'mlflow', 'torch', 'pandas'} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
