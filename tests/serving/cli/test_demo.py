"""`foretell demo`: the whole path on this machine, in one command."""

import pytest

from foretell.datasets.store import Store
from foretell.serving import registry

SHAPE = ("m", "n", "k", "dtype")


@pytest.mark.slow
def test_it_measures_learns_and_foretells_shapes_that_were_never_measured(foretell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORETELL_STORE", raising=False)
    monkeypatch.delenv("FORETELL_MLFLOW_URI", raising=False)
    ended = foretell("demo", "--seconds", "8")
    assert ended.code == 0
    assert registry.champion("gemm.latency").version == "1"
    assert (tmp_path / "mlruns" / "demo.png").stat().st_size > 10_000

    lines = [line.split() for line in ended.out.splitlines()]
    header = next(number for number, words in enumerate(lines) if words[:4] == list(SHAPE))
    new = {(int(m), int(n), int(k), dtype) for m, n, k, dtype, *_ in lines[header + 1 : header + 6]}
    measured = set(Store().scan("kernel").select(SHAPE).collect().iter_rows())
    assert len(new) == 5
    assert len(measured) >= 50
    assert not new & measured
    assert "what to try next" in ended.out
