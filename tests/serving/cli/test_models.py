"""`foretell models`, `promote` and `evaluate`: what is registered, who answers, and how good it is."""

import pytest

from foretell.serving import registry
from foretell.training.evaluation import CALIBRATION

TARGET = "gemm.latency"


def test_the_models_as_json(foretell, workspace):
    (model,) = foretell("models", "--json").json
    assert (model["target"], model["version"], model["champion"]) == (TARGET, "1", True)
    assert model["metrics"]["mape"] == workspace.training.scores["lightgbm"]["mape"]


def test_the_models_of_one_target_as_a_table(foretell, workspace):
    header, line = foretell("models", TARGET).out.splitlines()
    assert header.startswith("target")
    assert line.split()[:3] == [TARGET, "1", "champion"]


def test_nothing_registered_is_said(foretell, tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    assert foretell("models").out == "nothing is registered; `foretell train` does that\n"
    assert foretell("models", "--json").json == []


def test_models_of_an_unknown_target_are_refused(refused, workspace):
    refused("models", "gemm.colour", message="nothing is registered for gemm.colour")


def test_a_person_promotes(foretell, own_workspace):
    foretell("train", TARGET, "--family", "roofline")
    assert registry.champion(TARGET).version == "1"
    ended = foretell("promote", TARGET, "2")
    assert ended.out.startswith("gemm.latency version 2 is the champion now, by hand")
    assert registry.champion(TARGET).version == "2"


@pytest.mark.parametrize(("target", "version"), [(TARGET, "7"), (TARGET, "newest"), ("gemm.colour", "1")])
def test_what_is_not_registered_cannot_be_promoted(refused, own_workspace, target, version):
    refused("promote", target, version, message=f"{target} has no version {version}")


def test_a_registry_that_is_not_there_is_named(refused, monkeypatch, tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database" * 100)
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    refused("models", message=f"MLflow at sqlite:///{tmp_path}/mlflow.db", code=3)


def test_the_evaluation_as_json(foretell, workspace):
    found = foretell("evaluate", TARGET, "--json").json
    assert found["version"] == "1"
    assert sum(row["n"] for row in found["by table"]) == workspace.training.held_out
    (calibration,) = (found[title] for title in found if title.startswith("calibration"))
    assert [row["quantile"] for row in calibration] == list(CALIBRATION)


def test_the_evaluation_as_tables(foretell, workspace):
    out = foretell("evaluate", TARGET).out
    for title in (
        "by table",
        "by size",
        "calibration: share of measurements below each quantile",
        "worst cases",
    ):
        assert f"{title}\n" in out


def test_damaged_rows_are_an_artefact_that_cannot_be_read(refused, own_workspace):
    (batch,) = own_workspace.store.root.glob("kernel/*/rows.parquet")
    batch.write_bytes(batch.read_bytes()[:-100])
    refused("evaluate", TARGET, message=f"{batch} is damaged", code=4)


def test_an_evaluation_of_an_unknown_target_is_refused(misused):
    misused("evaluate", "gemm.colour", message="'gemm.colour' is not one of 'attention.energy'")
