"""The parts of an evaluation agree with each other and with the rows that were held out."""

import numpy as np
import polars as pl
import pytest

from foretell import predictors
from foretell.datasets.kernel import TABLE
from foretell.datasets.operators.gemm import GemmQuery
from foretell.errors import InputError
from foretell.serving import registry
from foretell.training import recipe
from foretell.training.evaluation import CALIBRATION, SIZES, WORST, evaluation


@pytest.fixture(scope="module")
def champion(registered):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", registered.uri)
        return registry.champion("gemm.latency")


@pytest.fixture(scope="module")
def found(registered, champion):
    return evaluation(predictors.load(champion.path), registered.store)


def test_the_rows_are_those_that_the_training_held_out(found, registered):
    rows = registered.store.scan("kernel").collect()
    assert found.rows.equals(recipe.hold_out(rows, "site", GemmQuery.site, seed=recipe.SEED).test)
    assert len(found.actual) == registered.training.held_out


def test_the_mean_over_tables_is_the_score_of_the_run(found, champion):
    # A saved model answers as the trained one did; LightGBM's text keeps 17 digits.
    errors = [row["mape"] for row in found.by_table]
    assert np.mean(errors) == pytest.approx(champion.metrics["mape"], rel=1e-12)


@pytest.mark.parametrize("part", ["by_table", "by_size"])
def test_every_row_counts_once(found, part):
    assert sum(row["n"] for row in getattr(found, part)) == found.rows.height


def test_each_table_is_named_by_its_columns(found):
    named = {tuple(row[name] for name in TABLE) for row in found.by_table}
    assert named == set(found.rows.select(TABLE).iter_rows())


def test_sizes_follow_one_another(found):
    ends = [end for row in found.by_size for end in (row["from us"], row["to us"])]
    assert len(found.by_size) == SIZES
    assert ends == sorted(ends)
    assert (ends[0], ends[-1]) == (found.actual.min(), found.actual.max())


def test_calibration_counts_the_labels_below_each_quantile(found):
    shares = {row["quantile"]: row["share below"] for row in found.calibration}
    expected = {level: np.mean(found.actual <= found.prediction.at(level)) for level in CALIBRATION}
    assert shares == pytest.approx(expected)


def test_the_worst_cases_are_the_largest_errors_first(found):
    errors = np.abs(found.prediction.at(0.5) / found.actual - 1) * 100
    assert [row["error %"] for row in found.worst] == pytest.approx(sorted(errors, reverse=True)[:WORST])
    assert (
        pl.DataFrame(found.worst).join(found.rows, on=("m", *GemmQuery.site, *TABLE), how="semi").height
        == WORST
    )


def test_a_device_that_the_model_cannot_describe_is_named(found, champion, tmp_path, make_kernel_rows):
    from foretell.datasets.store import Store

    store = Store(tmp_path)
    store.append("kernel", make_kernel_rows().with_columns(device=pl.lit("abacus")))
    with pytest.raises(InputError, match="device: got 'abacus'"):
        evaluation(predictors.load(champion.path), store)
