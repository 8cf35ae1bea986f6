"""In process: a dict, a list and a frame ask the same; what does not fit is refused by name."""

from types import MappingProxyType

import numpy as np
import polars as pl
import pytest

from foretell import Foretell
from foretell.errors import InputError, NotRegisteredError
from foretell.serving import registry
from foretell.training.promotion import promote
from foretell.training.tracking import log_run

TARGET = "gemm.latency"
QUESTION = {"m": 64, "n": 4096, "k": 4096, "dtype": "bfloat16", "device": "h100", "backend": "vllm",
            "backend_version": "0.24.0"}  # fmt: skip
QUESTIONS = [QUESTION | {"m": m} for m in (1, 7, 64, 1000)]
INTEGER = "expected an integer from 1 to 16777216"


@pytest.fixture(scope="module")
def model(registered):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", registered.uri)
        return Foretell(TARGET)


def test_the_answer_is_in_the_unit_of_the_target(model):
    answer = model.predict(QUESTION)
    assert (answer.target, answer.unit, answer.levels) == (TARGET, "us", (0.05, 0.5, 0.95))
    assert answer.values.shape == (1, 3)
    assert (model.target, model.version) == (TARGET, "1")


@pytest.mark.parametrize("ask", [list, tuple, pl.DataFrame], ids=["list", "tuple", "frame"])
def test_many_are_answered_as_they_are_one_by_one(model, ask):
    together = model.predict(ask(QUESTIONS))
    apart = np.vstack([model.predict(question).values for question in QUESTIONS])
    # One row takes another path than many: rounding in the last digits of a logarithm.
    np.testing.assert_allclose(together.values, apart, rtol=1e-9)


def test_any_mapping_is_a_question(model):
    np.testing.assert_array_equal(
        model.predict(MappingProxyType(QUESTION)).values, model.predict(QUESTION).values
    )


def test_optional_fields_may_be_left_out_or_null(model):
    required = {name: QUESTION[name] for name in ("m", "n", "k", "dtype", "device")}
    without = model.predict(required).values
    null = model.predict(required | {"backend": None, "backend_version": None}).values
    np.testing.assert_array_equal(without, null)


@pytest.mark.parametrize("rows", [QUESTION, [QUESTION, QUESTION], pl.DataFrame([QUESTION])])
def test_other_levels_are_answered_when_asked_for(model, rows):
    answer = model.predict(rows, levels=(0.1, 0.9))
    assert answer.levels == (0.1, 0.9)
    assert answer.values.shape[1] == 2


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (0.9, 0.1), (0.5, 1.0), (0.5, 0.5), (float("nan"),)])
def test_levels_that_do_not_increase_within_0_and_1_are_refused(model, levels):
    with pytest.raises(InputError, match=r"levels: got .*, expected a list of increasing quantile levels"):
        model.predict(QUESTION, levels=levels)


WRONG = {
    "unknown field": ({"colour": "red"}, "colour: got 'red', expected only the fields m, n, k"),
    "the label": ({"latency_us": 1.0}, "latency_us: got 1.0, expected only the fields"),
    "unknown dtype": ({"dtype": "float128"}, "dtype: got 'float128', expected one of bfloat16"),
    "unknown device": ({"device": "abacus"}, "device: got 'abacus', expected "),
    "zero": ({"m": 0}, f"m: got 0, {INTEGER}"),
    "negative": ({"m": -1}, f"m: got -1, {INTEGER}"),
    "too large": ({"m": 10**30}, f"m: got {10**30}, {INTEGER}"),
    "nan": ({"m": float("nan")}, f"m: got nan, {INTEGER}"),
    "fraction": ({"m": 1.5}, f"m: got 1.5, {INTEGER}"),
    "truth": ({"m": True}, f"m: got True, {INTEGER}"),
    "text": ({"m": "64"}, f"m: got '64', {INTEGER}"),
    "null": ({"m": None}, f"m: got None, {INTEGER}"),
    "list": ({"m": [64]}, rf"m: got \[64\], {INTEGER}"),
    "number for text": ({"device": 100}, "device: got 100, expected a text of 1 to 64 characters"),
    "beyond memory": (
        {"m": 2**24, "n": 2**24},
        r"m, n, k: got \(16777216, 16777216, 4096\), expected a shape that fits",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_refused_by_name(model, change, message):
    with pytest.raises(InputError, match=f"^{message}"):
        model.predict(QUESTION | change)


@pytest.mark.parametrize(
    "change",
    [change for name, (change, _) in WRONG.items() if name not in ("unknown device", "beyond memory")],
)
def test_in_a_list_the_place_is_named_too(model, change):
    with pytest.raises(InputError, match=rf"^rows\[1\]\.{min(change)}: got "):
        model.predict([QUESTION, QUESTION | change])


def test_a_missing_field_is_named(model):
    with pytest.raises(InputError, match=f"^k: got None, {INTEGER}"):
        model.predict({name: value for name, value in QUESTION.items() if name != "k"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"rows: got \[\], expected at least one row"),
        (pl.DataFrame([QUESTION]).clear(), r"rows: got \[\], expected at least one row"),
        (None, "rows: got None, expected a dict, a list of dicts or a Polars frame"),
        ("m=64", "rows: got 'm=64', expected a dict"),
        (iter([QUESTION]), "rows: got .*iterator.*, expected a dict"),
        ([1], r"rows\[0\]: got 1, expected an object with the fields m, n, k"),
        ({}, f"m: got None, {INTEGER}"),
        (pl.DataFrame([QUESTION]).with_columns(latency_us=1.0), "latency_us: got .*, expected only the"),
    ],
)
def test_what_is_no_question_is_refused(model, rows, message):
    with pytest.raises(InputError, match=f"^{message}"):
        model.predict(rows)


def test_a_question_is_left_as_it_was(model):
    question, rows = dict(QUESTION), pl.DataFrame(QUESTIONS)
    model.predict(question)
    model.predict(rows)
    assert question == QUESTION
    assert rows.equals(pl.DataFrame(QUESTIONS))


def test_a_device_that_was_never_measured_is_answered_and_flagged(model):
    known, unknown = model.predict(QUESTION), model.predict(QUESTION | {"device": "mi210"})
    assert (known.outside[0], unknown.outside[0]) == (False, True)
    assert unknown.at(0.95)[0] / unknown.at(0.05)[0] > 2 * known.at(0.95)[0] / known.at(0.05)[0]


def test_a_folder_answers_as_the_registered_model_does(model, workspace):
    loaded = Foretell.from_folder(registry.champion(TARGET).path)
    np.testing.assert_array_equal(loaded.predict(QUESTIONS).values, model.predict(QUESTIONS).values)
    assert (loaded.target, loaded.version) == (TARGET, "unregistered")


def test_a_target_without_champion_is_told_how_to_get_one(workspace):
    with pytest.raises(
        NotRegisteredError, match=r"no champion for gemm\.colour; .* `foretell train gemm\.colour`"
    ):
        Foretell("gemm.colour")


def test_whoever_was_asked_first_goes_on_answering(own_workspace):
    """The next `Foretell` is the new champion; this one stays what it was."""
    before = Foretell(TARGET)
    artefact = registry.champion(TARGET).path
    again = log_run(TARGET, artefact, example=pl.DataFrame([QUESTION]), params={}, metrics={"mape": 99.0},
                    plots=[], data_version="d2", split="site:cd", commit=None)  # fmt: skip
    promote(TARGET, again.version)
    assert (before.version, Foretell(TARGET).version) == ("1", "2")
    assert before.predict(QUESTION).values.shape == (1, 3)


def test_integers_of_numpy_are_integers(model):
    plain = model.predict(QUESTION).values
    numpy = model.predict(QUESTION | {"m": np.int64(QUESTION["m"])}).values
    np.testing.assert_array_equal(numpy, plain)
