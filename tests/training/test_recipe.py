"""A training learns from one side of the split, is judged on the other, and answers if it is the best."""

import polars as pl
import pytest

from foretell.datasets.device import devices
from foretell.datasets.operators.gemm import GemmQuery
from foretell.datasets.store import Store
from foretell.errors import InputError
from foretell.predictors.tables import TablePredictor
from foretell.serving import registry
from foretell.training import promotion, recipe

TARGET = "gemm.latency"


@pytest.fixture
def train(own_workspace, monkeypatch):
    """Train against the champion, beside the quickest baseline only."""
    target = recipe.find(TARGET)
    fields = {name: getattr(target, name) for name in target.__dataclass_fields__}
    quicker = type(target)(**fields | {"baselines": ("roofline",)})
    monkeypatch.setattr(recipe, "find", lambda name: quicker)

    def run(family="lightgbm", **keywords):
        plot = own_workspace.folder / "accuracy.png"
        champion = registry.champion(TARGET).path
        return recipe.train(
            TARGET, own_workspace.store, plot=plot, champion=champion, family=family, **keywords
        )

    return run


@pytest.fixture
def seen(monkeypatch):
    """The frames that were learnt from and those that were judged on, in two lists."""
    learnt, judged = [], []
    fit, judge = TablePredictor.fit, recipe.judge

    def spy_fit(predictor, rows, *, seed):
        learnt.append(rows)
        return fit(predictor, rows, seed=seed)

    def spy_judge(predictor, test, target):
        judged.append(test)
        return judge(predictor, test, target)

    monkeypatch.setattr(TablePredictor, "fit", spy_fit)
    monkeypatch.setattr(recipe, "judge", spy_judge)
    return learnt, judged


def sites(frames):
    return set(pl.concat(frames).select(GemmQuery.site).iter_rows())


def test_the_first_training_is_the_champion_with_its_figures_beside_the_baselines(registered, workspace):
    training = registered.training
    champion = registry.champion(TARGET)
    assert (champion.version, training.promotion.reason) == ("1", "first champion")
    assert champion.metrics == training.scores["lightgbm"] | {
        f"{name}.{figure}": value
        for name in ("roofline", "forest")
        for figure, value in training.scores[name].items()
    }


def test_what_obeys_physics_is_learnt_better_than_by_either_baseline(registered):
    errors = {name: figures["mape"] for name, figures in registered.training.scores.items()}
    assert min(errors, key=errors.get) == "lightgbm"


def test_every_row_is_learnt_from_or_judged_on(registered):
    assert registered.training.rows + registered.training.held_out == registered.appended.accepted


def test_the_run_says_what_it_was_trained_on_and_how(registered, workspace):
    from foretell.training.connection import connect

    run = connect().get_run(registered.training.version.run_id)
    assert run.data.params == {"family": "lightgbm", "seed": "0", "rows": str(registered.training.rows),
                               "held_out": str(registered.training.held_out)}  # fmt: skip
    assert run.data.tags["foretell.data_version"] == registered.training.data_version
    assert run.data.tags["foretell.split"].startswith("site:")
    assert [file.path for file in connect().list_artifacts(run.info.run_id, "plots")] == [
        "plots/accuracy.png"
    ]


def test_the_recorded_data_version_gives_the_same_rows_when_more_have_come(own_workspace, make_kernel_rows):
    store, version = own_workspace.store, own_workspace.training.data_version
    before = store.scan("kernel").collect()
    store.append("kernel", make_kernel_rows(sites=5, seed=1))
    assert store.scan("kernel", version=version).collect().equals(before)
    assert store.scan("kernel").collect().height > before.height


def test_an_equal_training_has_equal_figures_and_does_not_answer(train):
    """Same rows, same seed: nothing is drawn anew, and nobody gains by a change of the champion."""
    training = train("lightgbm")
    assert training.scores["lightgbm"].items() <= registry.champion(TARGET).metrics.items()
    assert "is not below" in training.promotion.reason
    assert registry.champion(TARGET).version == "1"


def test_a_worse_model_does_not_answer(train):
    training = train("roofline")
    assert "is not below" in training.promotion.reason
    assert registry.champion(TARGET).version == "1"


def test_a_better_model_takes_over(train):
    worse = train("roofline")
    promotion.promote(TARGET, worse.version.version)
    better = train("lightgbm")
    assert better.promotion.promoted
    assert registry.champion(TARGET).version == better.version.version


def test_nothing_that_a_model_is_judged_on_was_learnt_from(train, seen):
    training = train()
    learnt, judged = seen
    assert len(learnt) == 2
    assert len(judged) == 3, "the model, the baseline and the champion"
    assert not sites(learnt) & sites(judged)
    assert {rows.height for rows in learnt} == {training.rows}
    assert {rows.height for rows in judged} == {training.held_out}


def test_the_champion_is_judged_on_nothing_that_it_learnt_from_although_rows_were_added(
    train, seen, own_workspace, make_kernel_rows
):
    old = own_workspace.store.scan("kernel").collect()
    own_workspace.store.append("kernel", make_kernel_rows(sites=20, seed=1))
    train()
    _, judged = seen
    learnt_before = recipe.hold_out(old, "site", GemmQuery.site, seed=recipe.SEED).train
    assert not sites([learnt_before]) & sites(judged)


def test_failed_cases_are_not_learnt_from(train, seen, own_workspace):
    rows = own_workspace.store.scan("kernel").collect()
    own_workspace.store.append(
        "kernel",
        rows.with_columns(
            status=pl.lit("failed"), reason=pl.lit("out of memory"), latency_us=pl.lit(None, pl.Float64)
        ),
    )
    training = train("roofline")
    assert training.rows + training.held_out == rows.height


def test_a_champion_of_other_devices_does_not_give_way(train, own_workspace, make_kernel_rows):
    """The new device is described in the store only; who loses which devices is for a person to choose."""
    mine = devices().filter(pl.col("name") == "h100").with_columns(name=pl.lit("mine"), aliases=None)
    own_workspace.store.append("device", mine)
    rows = make_kernel_rows(("h100",), seed=2).with_columns(device=pl.lit("mine"))
    own_workspace.store.append("kernel", rows)
    training = train()
    assert not training.promotion.promoted
    assert "score the champion" in training.promotion.reason


def test_a_champion_that_is_lost_gives_way(own_workspace, tmp_path):
    plot = tmp_path / "accuracy.png"
    training = recipe.train(TARGET, own_workspace.store, plot=plot, champion=recipe.LOST)
    assert training.promotion.promoted
    assert registry.champion(TARGET).version == training.version.version


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"name": "gemm.colour"}, "target: got 'gemm.colour', expected one of attention.energy"),
        ({"family": "oracle"}, "family: got 'oracle', expected one of blend, forest, lightgbm, roofline"),
        ({"plot": "picture.xyz"}, r"plot: got .*picture\.xyz', expected a name that ends in one of \.pdf"),
    ],
)
def test_what_it_does_not_know_is_refused_by_name(workspace, tmp_path, keywords, message):
    options = {"name": TARGET, "family": "lightgbm", "plot": "picture.png"} | keywords
    plot = tmp_path / options.pop("plot")
    with pytest.raises(InputError, match=message):
        recipe.train(options.pop("name"), workspace.store, plot=plot, **options)


def test_an_empty_store_is_told_how_to_fill_it(tmp_path):
    with pytest.raises(
        InputError, match="rows: got 0, expected measurements of a kernel: `foretell collect`"
    ):
        recipe.train(TARGET, Store(tmp_path), plot=tmp_path / "picture.png")


def test_one_weight_matrix_is_too_few_to_hold_any_out(tmp_path, make_kernel_rows):
    store = Store(tmp_path)
    store.append("kernel", make_kernel_rows(sites=1))
    with pytest.raises(InputError, match=r"rows: got '1 groups', expected more values of \(n, k\)"):
        recipe.train(TARGET, store, plot=tmp_path / "picture.png")
