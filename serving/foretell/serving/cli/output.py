"""How results are shown: a table for a person, JSON for a machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


def print_json(result: object) -> None:
    """One JSON document on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(result, enc_hook=_plain), indent=1))


def _plain(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON for {type(value)}")


def print_table(rows: Sequence[Mapping[str, Any]], title: str | None = None) -> None:
    """Rows of equal keys; numbers to the right, floats with four significant digits."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, value in rows[0].items():
        table.add_column(name, justify="right" if isinstance(value, int | float) else "left")
    for row in rows:
        table.add_row(*(escape(shown(value)) for value in row.values()))
    console = Console()
    # A pipe has no width; wide enough for any table rather than cut at 80 columns.
    console = console if console.is_terminal else Console(width=200)
    if title:  # by itself, for a table's own title wraps at the table's width
        console.print(escape(title), style="italic", highlight=False, soft_wrap=True)
    console.print(table)


WORDS: Final = {
    "mape": "mean error %",
    "median_ape": "median error %",
    "coverage_90": "inside 90 % interval, %",
    "width_90": "interval width %",
}


def in_words(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures under names that need no explanation."""
    return {WORDS.get(name, name): figure for name, figure in figures.items()}


def shown(value: object) -> str:
    """A value as text."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)
