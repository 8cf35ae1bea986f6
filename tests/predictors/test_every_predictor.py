"""What holds for every model family."""

import math
import threading
from itertools import pairwise
from pkgutil import resolve_name

import msgspec
import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError
from foretell.features.gemm import GemmEncoder
from foretell.predictors import load
from foretell.predictors.families import FAMILIES, TRANSFERRING

LEARNS = ("blend", "forest", "lightgbm")
"""Families that can follow what they are shown; the roofline is one constant."""
SEEN_M = (1, 1024)
"""Range of m in the training rows."""


def structs(predictor, frame):
    return [msgspec.convert(row, predictor.query) for row in frame.iter_rows(named=True)]


def test_inputs_are_left_as_they_were(family, rows, train, queries):
    given, asked = rows.clone(), queries.clone()
    train(family, rows).predict(queries)
    assert rows.equals(given)
    assert queries.equals(asked)


def test_column_order_is_irrelevant(predictor, queries):
    turned = queries.select(sorted(queries.columns, reverse=True))
    np.testing.assert_array_equal(predictor.predict(turned).values, predictor.predict(queries).values)


def test_each_row_is_answered_by_itself(predictor, queries):
    order = np.random.default_rng(0).permutation(queries.height)
    shuffled = predictor.predict(queries[order])
    straight = predictor.predict(queries)
    np.testing.assert_array_equal(shuffled.values, straight.values[order])
    np.testing.assert_array_equal(shuffled.outside, straight.outside[order])


def test_the_same_seed_gives_the_same_model(predictor, family, rows, train, queries):
    again = train(family, rows)
    np.testing.assert_array_equal(again.predict(queries).values, predictor.predict(queries).values)


def test_saved_and_loaded_is_identical(predictor, queries, tmp_path):
    predictor.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    levels = (0.01, 0.3, 0.9)
    np.testing.assert_array_equal(
        loaded.predict(queries, levels).values, predictor.predict(queries, levels).values
    )
    assert (loaded.task, loaded.options, loaded.tables()) == (
        predictor.task,
        predictor.options,
        predictor.tables(),
    )


@pytest.mark.parametrize("name", LEARNS)
def test_a_small_batch_can_be_overfitted(name, rows):
    encoder = GemmEncoder()
    batch = rows.head(64)
    features, floor_us = encoder.encode(encoder.columns(batch.drop("latency_us")))
    z = np.log(batch["latency_us"].to_numpy() / floor_us)
    model = resolve_name(FAMILIES[name])().fit(features, z, seed=0)
    # A constant explains nothing of the variance; what follows the rows explains most of it.
    assert np.mean((z - model.predict(features)) ** 2) < 0.1 * np.var(z)


def test_fast_paths_and_frames_agree(predictor, queries):
    framed = predictor.predict(queries).values
    batch = predictor.answer(structs(predictor, queries)).values
    single = np.concatenate([predictor.answer([query]).values for query in structs(predictor, queries)])
    # The features of one row are computed by math, of many by NumPy: the last digits may differ.
    np.testing.assert_allclose(batch, framed, rtol=1e-9)
    np.testing.assert_allclose(single, framed, rtol=1e-9)


@pytest.mark.parametrize("levels", [(0.5,), (0.05, 0.95), (0.005, 0.2, 0.21, 0.7, 0.995)])
def test_a_level_means_the_same_whatever_else_is_asked(predictor, queries, levels):
    answered = predictor.predict(queries, levels)
    assert answered.levels == levels
    for level in levels:
        alone = predictor.predict(queries, (level,)).values[:, 0]
        np.testing.assert_array_equal(answered.at(level), alone)


@pytest.mark.parametrize(
    "levels", [(), (0.0, 0.5), (0.5, 1.0), (0.5, 0.999), (0.9, 0.1), (0.5, 0.5), (math.nan,)]
)
def test_levels_that_are_none_are_refused(predictor, queries, levels):
    with pytest.raises(InputError, match="levels"):
        predictor.predict(queries, levels)
    with pytest.raises(InputError, match="levels"):
        predictor.answer(structs(predictor, queries[:1]), levels)


@pytest.mark.parametrize("column", ["latency_us", "weather"])
def test_a_label_or_an_unknown_column_is_refused_by_name(predictor, queries, column):
    with pytest.raises(InputError) as refused:
        predictor.predict(queries.with_columns(pl.lit(1.0).alias(column)))
    assert refused.value.field == column


def test_an_unknown_device_is_refused(predictor, queries, ask):
    with pytest.raises(InputError) as refused:
        predictor.predict(queries.with_columns(device=pl.lit("h9000")))
    assert refused.value.field == "device"
    with pytest.raises(InputError, match="h9000"):
        ask(device="h9000")


def test_no_queries_are_refused(predictor):
    with pytest.raises(InputError, match="at least one"):
        predictor.answer([])


def test_a_product_beyond_the_memory_is_refused_with_its_shape(predictor, ask):
    shape = {"m": 2**24, "n": 2**24, "k": 2**10}
    with pytest.raises(InputError, match=r"m, n, k: got \(16777216, 16777216, 1024\)"):
        ask(**shape)
    fits = {name: [8, size] for name, size in shape.items()}
    with pytest.raises(InputError, match=r"m, n, k: got \(16777216, 16777216, 1024\)"):
        predictor.predict(pl.DataFrame(fits).with_columns(dtype=pl.lit("bfloat16"), device=pl.lit("h100")))


def test_a_device_that_was_described_but_never_measured_gets_a_wide_interval_and_the_flag(ask, family):
    measured, unseen = ask(), ask(device="mi300x")
    assert not measured.outside
    assert unseen.outside
    assert unseen.width > measured.width
    if family not in TRANSFERRING:
        # A factor of six to either side: the prior, since two families of hardware were measured.
        assert unseen.width == pytest.approx(36.0, rel=1e-9)


def test_a_data_type_that_was_never_measured_gets_the_flag(ask):
    assert ask(dtype="fp8").outside


def test_an_unknown_backend_is_flagged_and_no_backend_is_not(ask):
    assert ask(backend="torch", backend_version="2.13").outside
    assert not ask(backend=None, backend_version=None).outside


@pytest.mark.parametrize("name", LEARNS)
def test_without_a_backend_the_interval_spans_the_backends(name, rows, train):
    apart = rows.with_columns(
        pl.col("latency_us") * pl.when(pl.col("backend") == "trtllm").then(4.0).otherwise(1.0)
    )
    predictor = train(name, apart)
    shape = {"m": 64, "n": 2048, "k": 4096, "dtype": "bfloat16", "device": "h100"}
    (low, _, high), *_ = predictor.answer([predictor.query(**shape)]).values
    fast, slow = (
        predictor.answer([predictor.query(**shape, backend=backend, backend_version="0.24.0")]).at(0.5)[0]
        for backend in ("vllm", "trtllm")
    )
    assert low < fast < slow < high


def test_the_interval_widens_with_the_distance_from_what_was_measured(ask):
    answers = [ask(m=SEEN_M[1] * 2**octaves) for octaves in (0, 1, 2, 4, 8)]
    # All but the first lie outside; n and k were chosen well within the range seen.
    assert [answer.outside for answer in answers] == [False, True, True, True, True]
    widths = [answer.width for answer in answers[1:]]
    # It stops to grow where it says nothing any more.
    assert widths[0] < widths[1] < widths[2]
    assert all(narrow <= wide for narrow, wide in pairwise(widths))


def test_the_farthest_product_still_gets_numbers(ask):
    answer = ask(m=2**24, n=1, k=1, device="mi300x")
    assert answer.outside
    assert math.isfinite(answer.width)


def test_intervals_hold_on_groups_that_were_left_out(family, measure, train):
    vllm = measure(("h100",), sites=400, noise=0.1).filter(backend="vllm")
    sites = vllm.select("n", "k").unique(maintain_order=True)
    known, new = (vllm.join(part, on=["n", "k"], how="semi") for part in (sites[:120], sites[120:]))
    prediction = train(family, known, generalist=False).predict(new.drop("latency_us"))
    low, high = prediction.at(0.05), prediction.at(0.95)
    latency_us = new["latency_us"].to_numpy()
    covered = np.mean((low <= latency_us) & (latency_us <= high))
    # The 720 calibration rows scatter the coverage by sqrt(0.09 / 720) = 1.1 points, the 1,680 held-out
    # ones by 0.7; rows of one site are alike, so that both count for half as many. Four deviations: 7.
    assert 0.83 < covered < 0.97


def test_threads_get_the_answers_of_one(predictor, queries):
    asked = structs(predictor, queries[:60])
    expected = [predictor.answer([query]).values for query in asked]
    found: dict[int, list] = {}

    def answer(number):
        found[number] = [predictor.answer([query]).values for query in asked]

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == len(threads)
    for values in found.values():
        np.testing.assert_array_equal(values, expected)
