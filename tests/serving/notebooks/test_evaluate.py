"""The notebook runs from top to bottom, shows what the evaluation found, and says what to do without one."""

import importlib.util
import subprocess
import sys
from importlib import import_module

import pytest
from matplotlib.figure import Figure

from foretell.training.evaluation import SIZES, WORST

NOTEBOOK = "foretell.serving.notebooks.evaluate"
PICTURES = ("predicted_against_measured", "error_by_size", "nominal_against_share")
TABLES = {"baselines": 3, "tables": 2, "sizes": SIZES, "worst_cases": WORST}
"""Names of the tables, and how many rows they have on the made-up measurements."""


def executed():
    outputs, definitions = import_module(NOTEBOOK).app.run()
    return [output.text for output in outputs if output is not None], definitions


@pytest.fixture(scope="module")
def shown(registered):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", registered.uri)
        patch.setenv("FORETELL_STORE", str(registered.store.root))
        return executed()


@pytest.mark.parametrize(
    "heading",
    ["version 1", "Beside the baselines", "By table", "Predicted against measured",
     "Error by size and data type", "Calibration", "Worst cases"],
)  # fmt: skip
def test_every_part_is_shown(shown, heading):
    outputs, _ = shown
    assert sum(heading in output for output in outputs) == 1


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_drawn(shown, name):
    assert isinstance(shown[1][name], Figure)
    assert shown[1][name].axes[0].lines


def test_it_becomes_a_page_with_all_pictures(workspace, tmp_path):
    """As a user makes one; a cell that fails ends the command with an error."""
    page = tmp_path / "page.html"
    path = importlib.util.find_spec(NOTEBOOK).origin
    command = [sys.executable, "-m", "marimo", "export", "html", path, "--output", str(page)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert page.read_text().count("data:image/png") == len(PICTURES)


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_have_a_line_for_each_thing(shown, name):
    assert len(shown[1][name].data) == TABLES[name]


def test_the_figures_beside_the_baselines_are_those_of_the_run(shown, registered):
    lines = {line["model"]: line["mean error %"] for line in shown[1]["baselines"].data.to_dicts()}
    scores = registered.training.scores
    # Four significant digits.
    assert lines == pytest.approx(
        {"champion": scores["lightgbm"]["mape"], "roofline": scores["roofline"]["mape"],
         "forest": scores["forest"]["mape"]}, rel=1e-3,
    )  # fmt: skip


def test_without_a_champion_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("FORETELL_STORE", str(tmp_path))
    outputs, definitions = executed()
    assert len(outputs) == 1
    assert "no champion for gemm.latency" in outputs[0]
    assert "foretell collect gemm" in outputs[0]
    assert "worst_cases" not in definitions
