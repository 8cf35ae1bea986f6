"""The operators: what a question may say, and that questions and rows of the store are held to the same."""

import random
from typing import get_args

import msgspec
import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec.inspect import IntType, LiteralType

from foretell.datasets.kernel import Kernel, table_of
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.collective import MAX_MESSAGE_BYTES
from foretell.datasets.operators.elementwise import FUNCTIONS, Function
from foretell.datasets.operators.fields import MAX_DIMENSION, Placed, numbers_of, own_fields
from foretell.datasets.validate import validate
from foretell.errors import InputError
from foretell.features.fields import to_query

WHERE = {"dtype": "bfloat16", "device": "h100"}
MEASURED = {"status": "ok", "latency_us": 1.0, "energy_reason": "made up", "origin": "a test",
            "backend": "vllm", "backend_version": "1"}  # fmt: skip
INTEGERS = (-1, 0, 1, 2, 3, 4, 6, 8, 64, MAX_DIMENSION, MAX_DIMENSION + 1, MAX_MESSAGE_BYTES + 1)
TEXTS = ("", "nonsense", "Balanced", "balanced", "power_law_1.2", "power_law_", "power_law_1.2\n", "fp16 ")
POSSIBLE = {
    "gemm": {"m": 8, "n": 16, "k": 32},
    "bmm": {"batch": 4, "m": 8, "n": 16, "k": 32},
    "attention": {"phase": "context", "batch": 2, "new_tokens": 64, "past_tokens": 0, "heads": 32,
                  "kv_heads": 8, "head_dim": 128, "kv_dtype": "fp8", "window": 64},
    "moe": {"tokens": 5, "hidden": 64, "inter": 96, "experts": 8, "top_k": 2, "tp": 3, "ep": 4,
            "distribution": "power_law_1.2"},
    "layernorm": {"rows": 3, "hidden": 5},
    "softmax": {"rows": 3, "hidden": 5},
    "elementwise": {"function": "relu", "rows": 3, "hidden": 5},
    "convolution": {"batch": 2, "in_channels": 6, "out_channels": 9, "height": 12, "width": 7, "kernel": 3,
                    "stride": 2, "padding": 1, "groups": 3},
    "collective": {"collective": "all_to_all", "gpus": 8, "message_bytes": 1024},
}  # fmt: skip
IMPOSSIBLE = [
    ("gemm", {"m": 0}, "m"),
    ("gemm", {"k": -4}, "k"),
    ("bmm", {"batch": MAX_DIMENSION + 1}, "batch"),
    ("attention", {"kv_heads": 5}, "heads"),
    ("attention", {"kv_heads": 64}, "heads"),
    ("attention", {"window": 65}, "window"),
    ("attention", {"phase": "generation"}, "new_tokens"),
    ("attention", {"phase": "generation", "new_tokens": 1, "window": 0}, "past_tokens"),
    ("attention", {"phase": "decode"}, "phase"),
    ("attention", {"kv_dtype": "int4"}, "kv_dtype"),
    ("moe", {"top_k": 9}, "top_k"),
    ("moe", {"ep": 3}, "ep"),
    ("moe", {"tp": 5}, "tp"),
    ("moe", {"distribution": "zipf"}, "distribution"),
    ("layernorm", {"hidden": 0}, "hidden"),
    ("softmax", {"rows": -1}, "rows"),
    ("elementwise", {"function": "frobnicate"}, "function"),
    ("convolution", {"groups": 2}, "out_channels"),
    ("convolution", {"groups": 4}, "in_channels"),
    ("convolution", {"kernel": 10}, "kernel"),
    ("convolution", {"stride": 0}, "stride"),
    ("collective", {"gpus": 1}, "gpus"),
    ("collective", {"collective": "gossip"}, "collective"),
    ("collective", {"message_bytes": 0}, "message_bytes"),
    ("collective", {"dtype": "half"}, "dtype"),
]


def accepted(rows):
    """Whether the store takes each of some rows."""
    numbered = pl.DataFrame(rows, infer_schema_length=None, strict=False).with_columns(
        pl.lit(value).alias(name) for name, value in MEASURED.items()
    )
    valid, _ = validate(numbered.with_columns(repeats=pl.int_range(1, len(rows) + 1)), Kernel)
    return [number in set(valid["repeats"]) for number in range(1, len(rows) + 1)]


def answerable(operator, row):
    """Whether a row is a question; defaults are not asked for here."""
    try:
        to_query({name: value for name, value in row.items() if name != "operator"}, OPERATORS[operator])
    except InputError:
        return False
    return True


def row_like(operator, rng):
    """A row of an operator, of which each field is changed in one case of three."""
    row = {"operator": operator} | POSSIBLE[operator] | WHERE
    for name, field in own_fields(OPERATORS[operator]).items():
        values = field.type.values if isinstance(field.type, LiteralType) else ()
        if rng.random() < 1 / 3:
            row[name] = rng.choice(INTEGERS if isinstance(field.type, IntType) else (*TEXTS, *values))
    return row


@pytest.mark.parametrize("operator", OPERATORS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_questions_and_rows_are_held_to_the_same(operator, seed):
    rng = random.Random(seed)
    rows = [row_like(operator, rng) for _ in range(150)]
    asked = [answerable(operator, row) for row in rows]
    assert accepted(rows) == asked
    assert 0 < sum(asked) < len(rows)


@pytest.mark.parametrize(("operator", "changes", "field"), IMPOSSIBLE)
def test_what_is_impossible_is_refused_by_name(operator, changes, field):
    row = POSSIBLE[operator] | WHERE | changes
    with pytest.raises(InputError) as refused:
        to_query(row, OPERATORS[operator], "rows[3]")
    assert refused.value.field == f"rows[3].{field}"
    assert refused.value.value == repr(row[field])
    assert refused.value.expected


@pytest.mark.parametrize(("operator", "changes", "field"), IMPOSSIBLE)
def test_a_rejected_row_says_which_rule_it_broke(operator, changes, field):
    row = {"operator": operator} | POSSIBLE[operator] | WHERE | changes | MEASURED
    valid, broken = validate(pl.DataFrame([row]), Kernel)
    assert valid.is_empty()
    assert field in broken["rule"][0]


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_json_body_is_held_to_the_checks_too(operator):
    body = msgspec.json.encode(POSSIBLE[operator] | WHERE)
    assert msgspec.json.decode(body, type=OPERATORS[operator]).device == "h100"
    for changes in [changes for name, changes, _ in IMPOSSIBLE if name == operator]:
        with pytest.raises((InputError, msgspec.ValidationError)):
            msgspec.json.decode(
                msgspec.json.encode(POSSIBLE[operator] | WHERE | changes), type=OPERATORS[operator]
            )


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_row_has_just_the_fields_of_its_operator(operator):
    row = {"operator": operator} | POSSIBLE[operator] | WHERE
    foreign = next(name for name in ("gpus", "m") if name not in POSSIBLE[operator])
    without = {name: value for name, value in row.items() if name != next(iter(POSSIBLE[operator]))}
    assert accepted([row, row | {foreign: 2}, without]) == [True, False, False]


def test_an_unknown_operator_is_refused_by_name():
    row = {"operator": "attentoin"} | POSSIBLE["attention"] | WHERE | MEASURED
    _, broken = validate(pl.DataFrame([row]), Kernel)
    assert "operator|check" in broken["rule"][0].split(",")


def test_fields_of_one_name_are_of_one_type():
    """They share a column of the table of kernels."""
    types = [(name, field.type) for query in OPERATORS.values() for name, field in own_fields(query).items()]
    assert len({name for name, _ in types}) == len({(name, repr(kind)) for name, kind in types})


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_names_its_tables_and_sites_by_its_fields(operator):
    query = OPERATORS[operator]
    assert {*query.table, *query.site, *(check.field for check in query.checks)} <= {*own_fields(query)}
    assert {*table_of(operator)} <= {*query.__struct_fields__}
    assert query.site
    # Texts are no numbers to a model: they must part tables.
    assert {*own_fields(query)} == {*numbers_of(query), *query.table}


@pytest.mark.parametrize("operator", OPERATORS)
def test_where_it_runs_stands_at_the_end(operator):
    assert OPERATORS[operator].__struct_fields__[-4:] == Placed.__struct_fields__


def test_every_function_says_what_it_takes():
    assert set(FUNCTIONS) == set(get_args(Function))
    assert all(work.inputs >= 1 and work.operations >= 0 for work in FUNCTIONS.values())
