"""Whole groups are held out, by their own name: no row of one is learnt from, whatever else there is."""

import math

import polars as pl
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from foretell.errors import InputError
from foretell.training.splits import HELD_OUT, hold_out

SITE = ("n", "k")
KEY = ("k", "m", "n")
# A busy machine makes single examples slow; what is checked does not depend on time.
quick = settings(deadline=None, max_examples=40, derandomize=True)
dimension = st.integers(1, 2**24)
row = st.fixed_dictionaries({"m": st.integers(1, 64), "n": dimension, "k": dimension})


def frames(least=20):
    """Rows of many sites, some of which come up again with another m."""
    listed = st.lists(row, min_size=least, max_size=60)
    again = st.lists(st.tuples(st.integers(0, least - 1), st.integers(1, 64)), max_size=30)
    return st.builds(lambda rows, more: frame(rows + [rows[i] | {"m": m} for i, m in more]), listed, again)


def frame(rows):
    return pl.DataFrame(rows).select(KEY)


def sites(rows):
    return set(rows.select(SITE).iter_rows())


def held(rows, seed=0, columns=SITE):
    """The split; an example where one side stays empty is not counted."""
    try:
        return hold_out(rows, "site", columns, seed=seed)
    except InputError:
        reject()


@quick
@given(frames(), st.integers(0, 9))
def test_no_group_is_on_both_sides_and_no_row_is_lost(rows, seed):
    split = held(rows, seed)
    assert not sites(split.train) & sites(split.test)
    assert split.train.vstack(split.test).sort(KEY).equals(rows.sort(KEY))


@quick
@given(frames(), frames())
def test_a_group_stays_on_its_side_when_rows_are_added(rows, more):
    before, after = held(rows), held(rows.vstack(more))
    assert sites(before.train) <= sites(after.train)
    assert sites(before.test) <= sites(after.test)


@quick
@given(frames(), st.randoms(use_true_random=False))
def test_the_order_of_rows_is_irrelevant(rows, random):
    order = list(range(rows.height))
    random.shuffle(order)
    assert held(rows[order]).test.sort(KEY).equals(held(rows).test.sort(KEY))


@quick
@given(frames(), st.randoms(use_true_random=False))
def test_the_fingerprint_changes_exactly_when_the_held_out_questions_do(rows, random):
    split = held(rows)
    learnt, judged = random.randrange(split.train.height), random.randrange(split.test.height)
    fewer_learnt = split.train[[i for i in range(split.train.height) if i != learnt]]
    fewer_judged = split.test[[i for i in range(split.test.height) if i != judged]]
    same = [split.fingerprint(KEY), held(rows[::-1]).fingerprint(KEY)]
    if fewer_learnt.height:
        same.append(held(fewer_learnt.vstack(split.test)).fingerprint(KEY))
    assert set(same) == {split.fingerprint(KEY)}
    if fewer_judged.height:
        assert held(split.train.vstack(fewer_judged)).fingerprint(KEY) not in same


def test_the_fingerprint_names_the_split():
    rows = pl.DataFrame({"m": range(1, 101), "n": 1, "k": 1})
    names = [hold_out(rows, name, ("m",), seed=0).fingerprint(KEY).partition(":")[0] for name in ("a", "b")]
    assert names == ["a", "b"]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [HELD_OUT, 0.5])
def test_the_fraction_of_groups_is_what_was_asked_for(seed, fraction):
    """Within 4 standard deviations of the binomial; seeds are fixed, so it fails always or never."""
    groups = 10_000
    rows = pl.DataFrame({"m": [1, 2] * groups, "n": [i for i in range(1, groups + 1) for _ in "12"], "k": 64})
    split = hold_out(rows, "site", SITE, seed=seed, fraction=fraction)
    share = len(sites(split.test)) / groups
    assert abs(share - fraction) < 4 * math.sqrt(fraction * (1 - fraction) / groups)


def test_another_seed_holds_out_other_groups():
    rows = pl.DataFrame({"m": 1, "n": range(1, 201), "k": 64})
    assert sites(hold_out(rows, "site", SITE, seed=0).test) != sites(
        hold_out(rows, "site", SITE, seed=1).test
    )


@pytest.mark.parametrize(
    ("name", "columns", "named"), [("site", SITE, r"\(n, k\)"), ("mrow", ("m",), r"\(m\)")]
)
def test_too_few_groups_are_refused_by_the_name_of_their_columns(name, columns, named):
    rows = pl.DataFrame({"m": [8, 8], "n": [64, 64], "k": [32, 32]})
    with pytest.raises(InputError, match=f"rows: got '1 groups', expected more values of {named}"):
        hold_out(rows, name, columns, seed=0)
