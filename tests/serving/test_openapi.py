"""The description of the routes: what schemathesis makes of it, and that it lists what is there."""

import httpx
import polars as pl
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks

from foretell.serving.arrow import stream_of
from foretell.serving.refusals import STATUSES

ARROW = "application/vnd.apache.arrow.stream"
ONE = {"m": [1], "n": [2], "k": [3], "dtype": ["fp8"], "device": ["h100"]}
WELL = stream_of(pl.DataFrame(ONE).to_arrow())
schemathesis.openapi.media_type(ARROW, st.one_of(st.just(WELL), st.binary(max_size=200)))

EXCLUDED = [
    # Which devices are described is no matter of the schema, nor that levels increase.
    checks.positive_data_acceptance,
]


PREDICT = ("/v1/predict/{target}", "post")
GETS = [(path, "get") for path in ("/v1/targets", "/v1/models", "/healthz", "/readyz", "/metrics", "/docs")]


# One after the other by hand: schemathesis 4.32 cannot read a fixture under pytest 9.
@pytest.mark.parametrize(
    ("route", "mode", "examples"),
    [
        (PREDICT, GenerationMode.POSITIVE, 60),
        (PREDICT, GenerationMode.NEGATIVE, 100),
        *((route, GenerationMode.POSITIVE, 2) for route in GETS),
    ],
)
def test_answers_are_as_described(url, route, mode, examples):
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[route[0]][route[1]]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case):
        case.call_and_validate(excluded_checks=EXCLUDED, timeout=120)

    check()


def test_all_routes_and_statuses_are_described(http):
    found = http.get("/openapi.json").raise_for_status().json()
    assert found["openapi"] == "3.1.0"
    assert set(found["paths"]) == {
        "/v1/predict/{target}", "/v1/targets", "/v1/models", "/healthz", "/readyz", "/metrics",
        "/openapi.json", "/docs",
    }  # fmt: skip
    statuses = set(found["paths"]["/v1/predict/{target}"]["post"]["responses"])
    assert statuses == {"200", *map(str, STATUSES.values())}


def test_the_schema_of_a_row_holds_its_limits(http):
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    row = schemas["GemmQuery"]
    assert row["properties"]["m"] == {"type": "integer", "minimum": 1, "maximum": 2**24}
    assert row["required"] == ["m", "n", "k", "dtype", "device"]
    assert row["additionalProperties"] is False
    assert schemas["GemmQuestion"]["properties"]["rows"]["maxItems"] == 100_000


def test_every_get_route_is_there(http):
    paths = http.get("/openapi.json").json()["paths"]
    answers = {path: http.get(path).status_code for path, methods in paths.items() if "get" in methods}
    assert set(answers.values()) == {httpx.codes.OK}
