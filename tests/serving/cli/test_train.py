"""`foretell train`: the figures beside the baselines, and what became of the model."""

import pytest

from foretell.serving import registry

TARGET = "gemm.latency"


def test_the_result_as_json_is_what_the_registry_holds(foretell, own_workspace):
    ended = foretell("train", TARGET, "--json")
    assert (ended.code, ended.err) == (0, "")
    trained = ended.json
    assert (trained["version"]["name"], trained["version"]["version"]) == (TARGET, "2")
    assert trained["promotion"]["promoted"] is False, "it equals the champion, so it is not below it"
    assert set(trained["scores"]) == {"lightgbm", "roofline", "forest"}
    newest = registry.models(TARGET)[0]
    assert newest.metrics["mape"] == trained["scores"]["lightgbm"]["mape"]
    assert newest.tags["foretell.data_version"] == trained["data_version"]
    assert (own_workspace.folder / trained["plot"]).stat().st_size > 10_000


def test_a_person_sees_every_model_with_its_figures_and_the_verdict(foretell, own_workspace):
    lines = foretell("train", TARGET, "--family", "roofline", "--plot", "made/here.svg").out.splitlines()
    assert {line.split()[0] for line in lines} >= {"roofline", "forest"}
    assert any(line.startswith("gemm.latency version 2 does not answer: mape ") for line in lines)
    assert lines[-1] == "picture: made/here.svg"
    assert (own_workspace.folder / "made" / "here.svg").is_file()


def test_a_picture_that_cannot_be_written_is_refused_before_the_work(refused, workspace, tmp_path):
    (tmp_path / "file").touch()
    refused("train", TARGET, "--plot", "file/picture.png", message="plot: got 'file/picture.png', expected")
    refused(
        "train",
        TARGET,
        "--plot",
        "picture.xyz",
        message="expected a name that ends in one of .pdf, .png, .svg",
    )


def test_an_empty_store_says_how_to_fill_it(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETELL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    refused("train", TARGET, message="rows: got 0, expected measurements of a kernel: `foretell collect`")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gemm.colour",), "'gemm.colour' is not one of 'attention.energy'"),
        ((TARGET, "--family", "oracle"), "'oracle' is not one of 'lightgbm', 'blend', 'forest', 'roofline'"),
        ((TARGET, "--seed", "x"), "--seed"),
    ],
)
def test_unknown_words_are_refused(misused, words, message):
    misused("train", *words, message=message)
