import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foretell.datasets.sources.copies import COPY_SHARE, find_copies

TABLE, ROW = ("device",), ("m", "latency_us")


def frame(**tables):
    rows = [(device, m, value) for device, values in tables.items() for m, value in enumerate(values)]
    return pl.DataFrame(rows, schema=["device", "m", "latency_us"], orient="row")


def pairs(rows):
    found = find_copies(rows, TABLE, ROW)
    return set(zip(found["table"], found["copy_of"], strict=True))


def slow_pairs(tables):
    """Oracle: sets of rows, compared table by table."""
    content = {name: set(enumerate(values)) for name, values in tables.items()}
    return {
        (one, other)
        for one in content
        for other in content
        if one != other
        and content[one] & content[other]
        and len(content[one] & content[other]) >= COPY_SHARE * min(len(content[one]), len(content[other]))
    }


values = st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=6)


@given(st.dictionaries(st.sampled_from("abcd"), values, min_size=1))
def test_finds_what_comparing_all_tables_finds(tables):
    assert pairs(frame(**tables)) == slow_pairs(tables)


@pytest.mark.parametrize("seed", [0, 1])
def test_order_of_rows_is_irrelevant(seed):
    rows = frame(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0], c=[4.0, 5.0, 6.0])
    assert pairs(rows.sample(fraction=1, shuffle=True, seed=seed)) == {("a", "b"), ("b", "a")}


def test_copy_with_rows_left_out_is_found():
    rows = frame(a=[1.0, 2.0, 3.0, 4.0], b=[1.0, 2.0])
    assert find_copies(rows, TABLE, ROW).to_dicts()[0] == {
        "table": "a", "copy_of": "b", "shared_rows": 2, "share": 1.0
    }  # fmt: skip


def test_measuring_again_is_no_copy():
    assert not pairs(frame(a=[1.0, 2.0, 3.0], b=[1.01, 2.02, 3.0]))
