"""What people look at: the page in a real browser, and the dashboard's metrics."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from foretell.serving.llmd.metrics import Metrics
from foretell.serving.llmd.models import Models
from foretell.serving.llmd.options import Options
from foretell.serving.llmd.running import running
from foretell.serving.llmd.traffic import entries

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana-llm-d.json"
BROWSER = shutil.which("chromium") or shutil.which("chromium-headless-shell")


def test_the_dashboard_asks_for_metrics_that_there_are():
    metrics = Metrics(Models(Options()))
    metrics.observe("/predict", 200, 0.001)
    metrics.state.trouble = {"store": "full"}
    targets = {"coverage": 90.0, "mape": 5.0, "accepted": 1, "refused": 0}
    metrics.state.status = {"pools": {"": {"training": 1, "test": 1, "targets": {"ttft": targets}}}}
    told = set(re.findall(r"^# TYPE (\w+)", metrics.text().decode(), re.MULTILINE))
    asked = set(re.findall(r"foretell_llmd_\w+?(?=_bucket|\b)", DASHBOARD.read_text()))
    assert asked <= told
    assert len(json.loads(DASHBOARD.read_text())["panels"]) == 8


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_page_shows_what_was_learnt_without_an_error(tmp_path):
    with running(tmp_path / "store", "--retrain-s", "0.2") as server:
        url = f"{server.training}/add_training_data_bulk"
        httpx.post(url, json={"entries": entries(300, 0)}, timeout=60.0).raise_for_status()
        while not server.data()["training_data"]["total_samples"]:
            time.sleep(0.1)
        command = [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
            "--virtual-time-budget=4000", "--enable-logging=stderr", "--dump-dom", f"{server.training}/",
        ]  # fmt: skip
        seen = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in seen.stderr
    assert 'id="chart-ttft"' in seen.stdout
    assert "queue 0, kv" in seen.stdout
    assert 'role="alert"></p>' in seen.stdout
