"""`foretell collect`: measures within its budget, keeps what it measured, and goes on where it stopped."""

import pytest

from foretell.datasets.store import Store

BUDGET_S = 1
CASE = ("m", "n", "k", "dtype")
COLLECT = ("collect", "gemm", "--dtype", "float32", "--threads", "1", "--seconds", BUDGET_S)


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_STORE", str(tmp_path / "store"))
    return Store()


@pytest.mark.slow
def test_a_second_campaign_goes_on_where_the_first_stopped(foretell, store):
    first, second = (foretell(*COLLECT, "--json").json for _ in range(2))
    assert first["measured"] > 0
    assert first["skipped"] == 0
    # Bounds are measured anew and may leave out a case or two of those that the first one ran.
    assert 0 < second["skipped"] <= first["measured"]
    rows = store.scan("kernel").collect()
    assert rows.height == sum(run["measured"] + run["failed"] for run in (first, second))
    assert not rows.select(CASE).is_duplicated().any()
    assert set(rows["device"]) <= set(store.scan("device").collect()["name"])


def test_other_operators_are_measured_too(foretell, store):
    told = ("--dtype", "float32", "--threads", "1", "--seconds", BUDGET_S, "--json")
    found = foretell("collect", "softmax", *told).json
    rows = store.scan("kernel").collect()
    assert (found["kind"], rows.height) == ("softmax", found["measured"] + found["failed"])
    assert set(rows["operator"]) == {"softmax"}
    assert rows["rows"].null_count() == 0
    assert rows["m"].null_count() == rows.height


def test_a_person_is_told_how_many_and_where(foretell, store):
    out = foretell(*COLLECT).out
    assert "shapes measured" in out
    assert str(store.root) in out


def test_a_data_type_that_the_machine_does_not_multiply_is_refused(refused, store):
    message = "dtype: got 'float128', expected one of "
    refused("collect", "gemm", "--dtype", "float128", "--threads", "1", message=message)
    assert store.scan("kernel").collect().is_empty()


def test_more_threads_than_cores_are_refused(refused, store):
    refused("collect", "gemm", "--threads", "4096", message="threads: got 4096, expected 1 to ")


def test_without_a_cuda_device_the_reason_is_given(refused, store):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    refused("collect", "gemm", "--on", "cuda", message="torch finds no CUDA device", code=3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fft",), "'fft' is not one of 'gemm', "),
        (("gemm", "--seconds", "0"), "--seconds"),
        (("gemm", "--seconds", "nan"), "--seconds"),
        (("gemm", "--seconds", "soon"), "--seconds"),
        (("gemm", "--threads", "0"), "--threads"),
        (("gemm", "--on", "tpu"), "--on"),
    ],
)
def test_wrong_options_are_refused(misused, words, message):
    misused("collect", *words, message=message)
