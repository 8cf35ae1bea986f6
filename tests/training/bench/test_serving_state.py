"""The protocol serving-state on made-up runs: its form, and that nothing is known before it has happened."""

import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError
from foretell.training.bench import serving_state
from foretell.training.bench.streams import MEASURED, SIMULATED, simulated


def made_up(name, rate, rows=500, seed=0):
    rng = np.random.default_rng(seed)
    arrived = np.cumsum(rng.exponential(1.0 / rate, rows))
    tokens = rng.integers(10, 3000, rows)
    prefill = rng.integers(0, 4000, rows)
    ttft = (0.01 + 7e-5 * (tokens + prefill)) * np.exp(rng.normal(0, 0.05, rows))
    tpot = (0.01 + 0.002 * rate) * np.exp(rng.normal(0, 0.1, rows))
    return pl.DataFrame(
        {
            "run": [name] * rows, "arrived_s": arrived, "n_running": rng.integers(0, 50, rows),
            "n_waiting": rng.integers(0, 5, rows), "kv_frac": rng.uniform(0, 0.3, rows),
            "prefill_tokens_in_flight": prefill, "decode_context_tokens": rng.integers(0, 50_000, rows),
            "n_decoding": rng.integers(0, 50, rows), "input_tokens": tokens,
            "remaining_decode_tokens_oracle": rng.integers(0, 5000, rows), "output_tokens": 50,
            "ttft_s": ttft, "tpot_s": tpot, "e2e_s": ttft + 50 * tpot,
        }
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    names = {"conv_q3": 3, "conv_q7": 7, "code_q2": 2}
    return pl.concat([made_up(name, rate, seed=rate) for name, rate in names.items()])


@pytest.fixture
def folder(tmp_path, runs):
    runs.write_parquet(tmp_path / SIMULATED)
    return tmp_path


@pytest.fixture(scope="module")
def report(tmp_path_factory, runs):
    path = tmp_path_factory.mktemp("data")
    runs.write_parquet(path / SIMULATED)
    return serving_state.run(path)


def test_every_split_has_both_targets_with_all_figures(report):
    groups = [(group.group["split"], group.group["target"]) for group in report.groups]
    splits = ("in distribution", "load", "workload")
    assert groups == [(split, target) for split in splits for target in ("ttft", "tpot")]
    for group in report.groups:
        for figures in (group.product, *group.baselines.values(), *group.peers.values()):
            assert set(figures) == {"mape", "median_ape", "coverage_q90"}


def test_the_physics_of_the_first_token_is_found(report):
    first = report.groups[0]
    assert first.product["mape"] < 8.0  # the noise alone makes 4
    assert first.product["mape"] < first.baselines["previous value"]["mape"]
    assert first.product["coverage_q90"] == pytest.approx(90.0, abs=6.0)  # 300 rows: 1.7 points a deviation


def online(folder, changed, tmp_path):
    """Points foretold for `conv_q7` after some of its rows were changed."""
    said = {}
    original = serving_state._online

    def spy(contest, part):
        said.update(original(contest, part))
        return said

    changed.write_parquet(tmp_path / SIMULATED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving_state, "_online", spy)
        serving_state.run(tmp_path, train=("conv_q3",), test=("conv_q7",))
    return dict(said)


def test_no_outcome_is_known_before_the_request_has_finished(folder, runs, tmp_path):
    stream = simulated(folder)["conv_q7"]
    now = stream.arrived_s[250]
    later = pl.Series((stream.known_s > now).tolist())
    others = runs.filter(pl.col("run") != "conv_q7")
    mine = runs.filter(pl.col("run") == "conv_q7")
    changed = mine.with_columns(
        tpot_s=pl.when(later).then(pl.col("tpot_s") * 5).otherwise(pl.col("tpot_s")),
        e2e_s=pl.when(later).then(pl.col("e2e_s") + 100).otherwise(pl.col("e2e_s")),
    )
    before = online(folder, runs, tmp_path)
    after = online(folder, pl.concat([others, changed]), tmp_path)
    for key, answers in before.items():
        np.testing.assert_array_equal(answers[:251], after[key][:251])


def test_the_oracle_is_not_read(folder, runs, tmp_path):
    before = online(folder, runs, tmp_path)
    after = online(folder, runs.drop("remaining_decode_tokens_oracle", "output_tokens"), tmp_path)
    for key, answers in before.items():
        np.testing.assert_array_equal(answers, after[key])


@pytest.mark.parametrize(
    ("options", "field"),
    [({"train": ("conv_q3",)}, "test"), ({"train": ("nope",), "test": ("conv_q7",)}, "train")],
)
def test_runs_that_are_not_there_are_refused(folder, options, field):
    with pytest.raises(InputError, match=field):
        serving_state.run(folder, **options)


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(InputError, match=MEASURED):
        serving_state.run(tmp_path)
