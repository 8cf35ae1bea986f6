"""Protocols on hardware that nobody measured: what is given away, and what is refused."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from foretell.errors import InputError
from foretell.training.bench import gemm_unseen_gpu
from foretell.training.bench.unseen import handful


@pytest.fixture(scope="module")
def products():
    generator = np.random.default_rng(0)
    return pl.DataFrame((2 ** generator.uniform(0, 12, size=(500, 3))).astype(int), schema=["m", "n", "k"])


def test_a_handful_is_spread_and_has_no_row_twice(products):
    drawn = handful(products, ("m", "n", "k"), 16, 0)
    assert len(set(drawn.tolist())) == 16
    logs = np.log(products.to_numpy() + 1.0)
    random = np.random.default_rng(0).permutation(500)[:16]

    def nearest(rows):
        apart = np.linalg.norm(logs[rows][:, None] - logs[rows][None], axis=2)
        return (apart + np.diag(np.full(len(rows), np.inf))).min(axis=1).mean()

    # Drawn by squared distance, points lie farther from each other than at random.
    assert nearest(drawn) > nearest(random)


def test_the_same_seed_draws_the_same_handful(products):
    first, again, other = (handful(products, ("m", "n", "k"), 16, seed).tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_another_number_of_measurements_is_refused(tmp_path: Path):
    with pytest.raises(InputError) as refused:
        gemm_unseen_gpu.run(tmp_path, calibration=17)
    assert refused.value.field == "calibration"
