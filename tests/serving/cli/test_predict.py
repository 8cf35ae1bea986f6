"""`foretell predict`: options and files give the same answers; what does not fit is refused by name."""

import json

import polars as pl
import pytest

TARGET = "gemm.latency"
QUESTION = {"m": 64, "n": 4096, "k": 4096, "dtype": "bfloat16", "device": "h100", "backend": "vllm",
            "backend_version": "0.24.0"}  # fmt: skip
QUESTIONS = [
    QUESTION,
    QUESTION | {"m": 7, "device": "l40s"},
    QUESTION | {"backend": None, "backend_version": None},
]
NEVER_MEASURED = "mi210"
WRITERS = {
    "csv": pl.DataFrame.write_csv,
    "parquet": pl.DataFrame.write_parquet,
    "jsonl": pl.DataFrame.write_ndjson,
    "ndjson": pl.DataFrame.write_ndjson,
}

pytestmark = pytest.mark.usefixtures("workspace")


def options(question):
    given = {name: value for name, value in question.items() if value is not None}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture
def ask(foretell):
    """The answer to one question by options, as JSON."""

    def answer(question):
        ended = foretell("predict", TARGET, *options(question), "--json")
        assert (ended.code, ended.err) == (0, "")
        return ended.json

    return answer


def test_the_answer_names_target_unit_levels_and_version(ask):
    answer = ask(QUESTION)
    assert {name: answer[name] for name in ("version", "target", "unit", "levels", "outside")} == {
        "version": "1", "target": TARGET, "unit": "us", "levels": [0.05, 0.5, 0.95], "outside": [False],
    }  # fmt: skip
    ((low, middle, high),) = answer["values"]
    assert 0 < low < middle < high


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_file_is_answered_as_its_questions_are_one_by_one(foretell, ask, tmp_path, suffix):
    path = tmp_path / f"[1] questions*.{suffix.upper()}"
    WRITERS[suffix](pl.DataFrame(QUESTIONS), path)
    answer = foretell("predict", TARGET, "--file", path, "--json").json
    one_by_one = [value for question in QUESTIONS for value in ask(question)["values"][0]]
    # One row takes another path than many: rounding in the last digits of a logarithm.
    assert [value for row in answer["values"] for value in row] == pytest.approx(one_by_one, rel=1e-9)


def test_a_person_sees_a_table_with_units(foretell):
    out = foretell("predict", TARGET, *options(QUESTION)).out
    title, header, line = out.splitlines()
    assert title.startswith("gemm.latency, model version 1")
    assert header.split()[-7:] == ["5%", "us", "50%", "us", "95%", "us", "outside"]
    assert line.split()[:5] == ["64", "4096", "4096", "bfloat16", "h100"]


def test_a_device_that_was_never_measured_is_answered_wide_and_flagged(foretell, ask):
    widths = {}
    for device in ("h100", NEVER_MEASURED):
        ((low, _, high),) = ask(QUESTION | {"device": device})["values"]
        widths[device] = high / low
    assert widths[NEVER_MEASURED] > 2 * widths["h100"]
    assert ask(QUESTION | {"device": NEVER_MEASURED})["outside"] == [True]
    out = foretell("predict", TARGET, *options(QUESTION | {"device": NEVER_MEASURED})).out
    assert "1 of 1 outside of what the model has seen" in out


INTEGER = "expected an integer from 1 to 16777216"
WRONG = {
    "unknown dtype": ({"dtype": "float128"}, "dtype: got 'float128', expected one of bfloat16, "),
    "unknown device": ({"device": "abacus"}, "device: got 'abacus', expected "),
    "ambiguous device": ({"device": "a100"}, "device: got 'a100', expected an exact device: one of a100_40"),
    "empty device": ({"device": ""}, "device: got '', expected a text of 1 to 64 characters"),
    "long backend": ({"backend": "x" * 65}, "backend: got 'xxx"),
    "zero": ({"m": 0}, f"m: got 0, {INTEGER}"),
    "negative": ({"n": -8}, f"n: got -8, {INTEGER}"),
    "too large": ({"k": 2**24 + 1}, f"k: got 16777217, {INTEGER}"),
    "absurd": ({"m": "9" * 5000}, f"..., {INTEGER}"),
    "nan": ({"m": "nan"}, f"m: got 'nan', {INTEGER}"),
    "fraction": ({"m": "1.5"}, f"m: got '1.5', {INTEGER}"),
    "text": ({"m": "many"}, f"m: got 'many', {INTEGER}"),
    "empty": ({"m": ""}, f"m: got '', {INTEGER}"),
    "missing": ({"k": None}, f"k: got None, {INTEGER}"),
    "beyond memory": (
        {"m": 2**24, "n": 2**24},
        "m, n, k: got (16777216, 16777216, 4096), expected a shape that fits the 80 GB",
    ),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_option_is_refused_by_name(refused, change, message):
    refused("predict", TARGET, *options(QUESTION | change), message=message)


def test_no_question_at_all_is_refused(refused):
    refused("predict", TARGET, message=f"m: got None, {INTEGER}")


def test_a_file_and_options_are_not_mixed(refused):
    refused("predict", TARGET, "--m", 1, "--file", "x.csv", message="expected either a file or the fields")


def test_an_unknown_target_is_told_which_there_are(refused):
    refused("predict", "gemm.colour", message="target: got 'gemm.colour', expected one of attention.energy")


def test_an_unknown_option_is_refused(misused):
    misused("predict", TARGET, "--colour", "red", message="--colour")


def test_a_target_without_champion_says_how_to_get_one(refused, monkeypatch, tmp_path):
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{tmp_path}/mlflow.db")
    message = (
        "no champion for gemm.latency; there is one for: nothing yet; `foretell train gemm.latency` makes one"
    )
    refused("predict", TARGET, *options(QUESTION), message=message)


ROWS = pl.DataFrame([QUESTION, QUESTION])
SECOND = pl.int_range(pl.len()) == 1


def second(name, value):
    """The questions with another value in the second row."""
    return ROWS.with_columns(pl.when(SECOND).then(pl.lit(value)).otherwise(pl.col(name)).alias(name))


WRONG_ROWS = {
    "unknown column": (
        ROWS.with_columns(colour=pl.lit("red")),
        "colour: got 'a column of that name', expected only",
    ),
    "the label": (ROWS.with_columns(latency_us=pl.lit(1.0)), "latency_us: got 'a column of that name'"),
    "missing column": (ROWS.drop("k"), "k: got None, expected a column of that name"),
    "no rows": (ROWS.clear(), "rows: got [], expected at least one row"),
    "zero": (second("m", 0), f"rows[1].m: got 0, {INTEGER}"),
    "negative": (second("n", -1), f"rows[1].n: got -1, {INTEGER}"),
    "too large": (second("k", 2**40), f"rows[1].k: got {2**40}, {INTEGER}"),
    "null": (second("m", None), f"rows[1].m: got None, {INTEGER}"),
    "nan": (second("m", float("nan")), f"m: got 'values of type Float64', {INTEGER}"),
    "text": (ROWS.with_columns(m=pl.lit("many")), f"m: got 'values of type String', {INTEGER}"),
    "unknown dtype": (
        second("dtype", "float128"),
        "rows[1].dtype: got 'float128', expected one of bfloat16, ",
    ),
    "unknown device": (second("device", "abacus"), "device: got 'abacus'"),
}


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(("rows", "message"), WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_a_wrong_row_of_a_file_is_refused_by_its_place(refused, tmp_path, suffix, rows, message):
    if suffix == "jsonl" and rows.is_empty():
        message = "expected a readable .jsonl file"  # without rows it has no columns either
    path = tmp_path / f"wrong.{suffix}"
    WRITERS[suffix](rows, path)
    # JSON has no NaN: Polars writes null.
    if suffix == "jsonl" and message.startswith("m: got 'values of type Float64'"):
        message = "m: got"
    refused("predict", TARGET, "--file", path, message=message)


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_empty_file_is_refused(refused, tmp_path, suffix):
    path = tmp_path / f"empty.{suffix}"
    path.touch()
    refused(
        "predict",
        TARGET,
        "--file",
        path,
        message=f"file: got {str(path)!r}, expected a readable .{suffix} file",
    )


def parquet(path):
    ROWS.write_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("keep", [4, 100, -1])
def test_a_truncated_parquet_is_refused(refused, tmp_path, keep):
    path = tmp_path / "truncated.parquet"
    path.write_bytes(parquet(path)[:keep])
    refused("predict", TARGET, "--file", path, message="expected a readable .parquet file")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ragged.csv", "m,n,k,dtype,device\n1,2,3,bfloat16,h100,more\n"),
        ("lists.jsonl", '{"m": 1}\n[1, 2]\n'),
        ("nan.jsonl", json.dumps(QUESTION | {"m": float("nan")})),
        ("cut.jsonl", json.dumps(QUESTION)[:-5]),
        ("binary.csv", b"\xff\xfe\x00\x80"),
        ("text.parquet", "m,n,k\n"),
    ],
)
def test_content_that_is_not_what_the_name_says_is_refused(refused, tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused("predict", TARGET, "--file", path, message=": got ")


@pytest.mark.parametrize("name", ["questions.xlsx", "questions", "questions.csv.gz"])
def test_an_unknown_suffix_is_refused(refused, name):
    refused(
        "predict",
        TARGET,
        "--file",
        name,
        message=f"file: got {name!r}, expected a name that ends in one of .csv",
    )


def test_a_file_that_is_not_there_is_refused(refused):
    refused("predict", TARGET, "--file", "nowhere.csv", message="No such file")


def test_a_folder_is_refused(refused, tmp_path):
    (tmp_path / "folder.csv").mkdir()
    refused("predict", TARGET, "--file", tmp_path / "folder.csv", message="Is a directory")
