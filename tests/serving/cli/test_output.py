"""Tables for people: figures with as many digits as one reads, text as it is."""

import pytest

from foretell.serving.cli.output import in_words, print_table, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (3.14159, "3.142"),
        (0.000123456, "0.0001235"),
        (12345.678, "12,345.7"),
        (-12345.678, "-12,345.7"),
        (7, "7"),
        ("fp8", "fp8"),
        (True, "True"),
    ],
)
def test_values_as_text(value, text):
    assert shown(value) == text


def test_what_looks_like_markup_is_text(capsys):
    print_table([{"name": "[red]m[/red]"}], "a [b]title[/b]")
    assert capsys.readouterr().out.split() == ["a", "[b]title[/b]", "name", "[red]m[/red]"]


def test_a_long_title_stays_on_one_line(capsys):
    print_table([{"n": 1}], "a title " * 20)
    assert capsys.readouterr().out.splitlines()[0].strip() == ("a title " * 20).strip()


def test_no_rows_are_no_table(capsys):
    print_table([], "a title")
    assert capsys.readouterr().out == ""


def test_figures_have_names_that_a_person_reads():
    assert in_words({"mape": 1.0, "n": 2}) == {"mean error %": 1.0, "n": 2}
