"""The stream of shapes: reproducible, without duplicates, within its bounds, and wide."""

import math
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.datasets.collectors.cases import case_of
from foretell.datasets.collectors.gemm import TorchGemm
from foretell.datasets.collectors.shapes import Bounds, cases
from foretell.errors import InputError

DTYPES = ("float32", "bfloat16", "int8")


def stream(dtypes=DTYPES, seed=0, bounds=None, device_type="cpu"):
    collector = TorchGemm("this", device_type=device_type)
    return cases(collector.draw, collector.size, dtypes, seed=seed, bounds=bounds or Bounds())


def take(count, seed=0, dtypes=DTYPES, **options):
    return [case.query for case in islice(stream(dtypes, seed, **options), count)]


def test_a_seed_names_a_stream():
    assert take(300, seed=1) == take(300, seed=1)
    assert take(300, seed=1) != take(300, seed=2)


def test_a_longer_stream_begins_with_the_shorter_one():
    assert take(500)[:200] == take(200)


def test_no_case_comes_twice():
    assert len(set(take(5000))) == 5000


@settings(max_examples=25, deadline=None)
@given(
    operations=st.floats(1e5, 1e10),
    megabytes=st.floats(0.1, 100),
    largest=st.integers(32, 2**16),
    seed=st.integers(0, 2**32),
)
def test_every_case_is_within_its_bounds(operations, megabytes, largest, seed):
    bounds = Bounds(
        largest=largest,
        operations=operations,
        max_operations={"int8": operations / 2},
        max_bytes=megabytes * 1e6,
    )
    moved = {"float32": (4, 4), "bfloat16": (2, 2), "int8": (1, 4)}
    for case in take(60, seed, bounds=bounds):
        into, out = moved[case.dtype]
        assert max(case.m, case.n, case.k) <= largest
        assert into * case.k * (case.m + case.n) + out * case.m * case.n <= megabytes * 1e6
        assert 2 * case.m * case.n * case.k <= (operations / 2 if case.dtype == "int8" else operations)


def test_a_cuda_device_gets_only_what_its_library_takes():
    drawn = take(300, device_type="cuda", dtypes=("int8", "fp8", "float32"))
    assert all((c.n % 8, c.k % 8, c.m >= 17) == (0, 0, True) for c in drawn if c.dtype == "int8")
    assert all((c.n % 16, c.k % 16) == (0, 0) for c in drawn if c.dtype == "fp8")
    assert any(c.n % 2 for c in drawn if c.dtype == "float32")


def test_data_types_come_in_turn():
    assert [case.dtype for case in take(6)] == [*DTYPES, *DTYPES]


@pytest.mark.parametrize("name", ["m", "n", "k"])
def test_every_decade_has_its_share(name):
    decades = [int(math.log10(getattr(case, name))) for case in take(2000)]
    # Four decades up to 16384; the bound on operations thins the last, and weights are seldom narrow.
    assert all(decades.count(decade) >= 2000 * 0.05 for decade in range(4))


AWKWARD = {
    "single row": lambda c: c.m == 1,
    "narrow output": lambda c: c.n < 16,
    "shallow": lambda c: c.k < 16,
    "odd": lambda c: c.m % 2 and c.n % 2 and c.k % 2,
    "just past a power of two": lambda c: c.n > 64 and (c.n - 1).bit_count() == 1,
    "just past a tile": lambda c: c.n > 64 and c.n % 64 == 1,
    "just short of a tile": lambda c: c.k > 64 and c.k % 64 == 63,
    "prime": lambda c: c.m > 100 and all(c.m % d for d in range(2, math.isqrt(c.m) + 1)),
    "aligned": lambda c: c.n % 64 == 0 and c.k % 64 == 0,
}


@pytest.mark.parametrize("manner", AWKWARD)
def test_awkward_shapes_are_among_them(manner):
    # At least 1 % of 2000: twenty cases for a model to learn each from.
    assert sum(bool(AWKWARD[manner](case)) for case in take(2000)) >= 20


def test_a_stream_ends_where_the_bounds_leave_nothing_new():
    tiny = Bounds(largest=4, operations=64.0)
    drawn = list(stream(["float32"], bounds=tiny))
    assert 0 < len(drawn) == len(set(drawn))


@pytest.mark.parametrize("shape", [(0, 1, 1), (1, -3, 1), (1, 1, 2**24 + 1)])
def test_absurd_dimensions_are_refused(shape):
    with pytest.raises(InputError):
        case_of("gemm", **dict(zip("mnk", shape, strict=True)), dtype="float32")


def test_unknown_data_types_are_refused():
    with pytest.raises(InputError, match="dtype"):
        case_of("gemm", m=1, n=1, k=1, dtype="float33")


def test_unknown_operators_are_refused_by_name():
    with pytest.raises(InputError, match="operator: got 'fft', expected one of attention, "):
        case_of("fft", dtype="float32")


def test_a_stream_needs_a_data_type():
    with pytest.raises(InputError, match="dtypes"):
        next(stream([]))
