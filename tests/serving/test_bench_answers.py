"""The protocol `answers` times what it says it times."""

from itertools import accumulate

import pytest

from foretell.errors import InputError
from foretell.serving import bench_answers


def test_the_median_call_counts_and_not_the_slowest(monkeypatch):
    # Read at the begin and at the end of each call: calls of 2, 2, 50, 3 and 3 µs.
    ticks = accumulate([0, 2_000, 7, 2_000, 7, 50_000, 7, 3_000, 7, 3_000])
    monkeypatch.setattr(bench_answers.time, "perf_counter_ns", lambda: next(ticks))
    assert bench_answers.median_us(lambda _: None, range(5)) == 3.0


def test_ratios_are_product_over_peer():
    group = bench_answers.compared(1, lambda: 6.0, {"alone_us": lambda: 2.0})
    assert group == {
        "rows": 1,
        "product": {"foretell_us": 6.0},
        "peers": {"alone_us": 2.0, "times_alone": 3.0},
    }


def test_the_champion_is_timed_beside_its_own_booster(workspace, monkeypatch):
    monkeypatch.setattr(bench_answers, "ONE_ROW_CALLS", 20)
    monkeypatch.setattr(bench_answers, "MANY_ROWS", 200)
    monkeypatch.setattr(bench_answers, "REPEATS", 1)
    groups = bench_answers.run()["groups"]
    assert [group["rows"] for group in groups] == [1, 200]
    assert all(value > 0 for group in groups for value in (group["product"] | group["peers"]).values())


def test_a_native_booster_gives_the_answer_that_is_timed(workspace):
    from foretell.serving.api import Foretell

    predictor = Foretell("gemm.latency").predictor
    rows = bench_answers.example_rows(bench_answers.registry.champion("gemm.latency").path.parents[1])
    query = predictor.query(**rows[0])
    features = [predictor.encoder.encode_one(query)[0]]
    alone = bench_answers.native(predictor, query).predict(features)[0]
    assert alone == pytest.approx(predictor.head(query).regressor.predict_one(features[0]), rel=1e-12)


def test_a_champion_without_a_booster_is_refused(workspace, monkeypatch):
    from foretell.serving.api import Foretell

    model = Foretell("gemm.latency")
    monkeypatch.setattr(model.predictor, "options", type(model.predictor.options)("forest"))
    monkeypatch.setattr(bench_answers, "Foretell", lambda target: model)
    with pytest.raises(InputError, match="lightgbm"):
        bench_answers.run()
