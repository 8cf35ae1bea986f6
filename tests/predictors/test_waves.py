"""The physics of waves: what it must obey, and what it finds again."""

import numpy as np
import polars as pl
import pytest

from foretell.features.gemm import GemmEncoder
from foretell.features.softmax import SoftmaxEncoder
from foretell.predictors.waves import EFFECTS, SHARED_TYPICAL, SPREAD, TYPICAL, Waves
from foretell.predictors.work import PARTS, TILES, work_of


def products(shapes, device="h100"):
    rows = pl.DataFrame(
        [{"m": m, "n": n, "k": k, "dtype": "bfloat16", "device": device} for m, n, k in shapes]
    )
    encoder = GemmEncoder().fit(rows)
    features, floor = encoder.encode(encoder.columns(rows))
    return work_of(features, encoder.names, floor)


@pytest.fixture(scope="module")
def shapes():
    generator = np.random.default_rng(0)
    return (2 ** generator.uniform(0, 13, size=(400, 3))).astype(int) + 1


@pytest.fixture(scope="module")
def waves(shapes):
    return Waves(SHARED_TYPICAL, float(products(shapes).log_width.mean()))


def time_us(waves, work, effects=TYPICAL):
    return np.exp(waves.log_us(work, effects, waves.chosen(work, effects)))


def test_work_of_a_product_is_what_a_loop_over_its_cuts_counts():
    work = products([(300, 500, 700)])
    for number, (rows, columns) in enumerate(TILES):
        for other, parts in enumerate(PARTS):
            cut = number * len(PARTS) + other
            tiles = -(-300 // rows) * -(-500 // columns) * parts
            terms = 32 * -(-700 // (32 * parts))
            # Shapes come back from their logarithms, exactly once rounded; rates to rounding.
            assert work.waves[cut, 0] == -(-tiles // 132)
            assert work.compute[cut, 0] == pytest.approx(
                2 * rows * columns * terms / (989.5e6 / 132), rel=1e-9
            )
            assert work.split[cut] == (parts > 1)


def test_a_launch_and_the_memory_bound_every_time_from_below(waves, shapes):
    work = products(shapes)
    parts = waves.parts(work, TYPICAL, waves.chosen(work, TYPICAL))
    assert (parts.total >= parts.launch).all()
    assert (parts.total >= parts.memory).all()
    assert (parts.total >= parts.cores).all()


@pytest.mark.parametrize("effect", ["compute", "memory", "load", "fabric"])
def test_a_better_device_is_never_slower(waves, shapes, effect):
    work = products(shapes)
    better = TYPICAL + 0.3 * (np.array(EFFECTS) == effect)
    assert (time_us(waves, work, better) <= time_us(waves, work) * (1 + 1e-12)).all()


def test_twice_the_rows_never_take_less(waves, shapes):
    # Tiles of all sizes are tried, so that more rows can only add some; rounding aside.
    doubled = products([(2 * m, n, k) for m, n, k in shapes])
    once = products(shapes)
    whole = TYPICAL.copy()
    whole[EFFECTS.index("rounding")] = 1.0
    assert (time_us(waves, doubled, whole) >= time_us(waves, once, whole) * (1 - 1e-9)).all()


def test_effects_of_a_device_are_found_again_from_a_handful(waves, shapes):
    truth = TYPICAL + 0.7 * SPREAD * np.array([1, -1, 1, 0, 0, 0, 0, 0])
    work = products(shapes[:64])
    log_us = np.log(time_us(waves, work, truth))
    found, covariance = waves.adapted(work, log_us, TYPICAL, SPREAD)
    # Priors pull: half of what was off (0.7 spreads) must be found at least, where data speak.
    assert (np.abs(found - truth)[:2] < 0.35 * SPREAD[:2]).all()
    assert (np.sqrt(np.diag(covariance)) < SPREAD).all()
    adapted = time_us(waves, work, found)
    assert np.mean(np.abs(np.log(adapted) - log_us)) < 0.3 * np.mean(
        np.abs(np.log(time_us(waves, work)) - log_us)
    )


def test_tables_of_several_devices_are_told_apart(shapes):
    work = products(shapes)
    tables = np.arange(len(shapes)) % 2
    truth = Waves(SHARED_TYPICAL, float(work.log_width.mean()))
    own = np.stack([TYPICAL, TYPICAL + SPREAD * (np.array(EFFECTS) == "launch")])
    log_us = truth.log_us(work, own[tables], truth.chosen(work, own[tables]))
    _, effects = Waves.fit(work, log_us, tables, np.ones(len(tables)))
    launch = effects[:, EFFECTS.index("launch")]
    # A sixth of the spread: what the priors of all parameters may take from a difference of one spread.
    assert launch[1] - launch[0] == pytest.approx(SPREAD[0], abs=SPREAD[0] / 6)


def test_operators_that_are_no_products_have_one_cut_and_no_tile():
    rows = pl.DataFrame({"rows": [64], "hidden": [1024], "dtype": ["float32"], "device": ["v100_pcie"]})
    encoder = SoftmaxEncoder().fit(rows)
    features, floor = encoder.encode(encoder.columns(rows))
    work = work_of(features, encoder.names, floor)
    assert work.compute.shape == (1, 1)
    assert work.weights[0] == 0
    assert work.others[0] == pytest.approx(2 * 4 * 64 * 1024)
