"""`foretell bench`."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
import msgspec

from foretell.serving.cli.output import print_table
from foretell.training.bench import PROTOCOLS
from foretell.training.bench.report import Group, Report, Total


@click.command()
@click.argument("protocol", type=click.Choice(sorted(PROTOCOLS)))
@click.option(
    "--data",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def bench(*, protocol: str, data: Path, json_file: Path | None) -> None:
    """Measure foretell beside its peer and the trivial baselines, on the same rows in one run."""
    report: Report = resolve_name(PROTOCOLS[protocol])(data)
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1))
    print_table([_row(group) for group in report.groups])
    for name, total in report.totals.items():
        click.echo()
        print_table(_total_rows(total), f"{name}: mean over its tables")
    for note in report.notes:
        click.echo(note)
    click.echo(" ".join(f"{name} {seconds:.1f} s" for name, seconds in report.seconds.items()))


def _row(group: Group) -> dict[str, Any]:
    others = group.baselines | group.peers
    beside = {f"{name} mape": figures["mape"] for name, figures in others.items()}
    return {**group.group, "n": group.n, **group.product, **beside}


def _total_rows(total: Total) -> list[dict[str, Any]]:
    figures = {"foretell": total.product} | total.baselines | total.peers
    return [
        {"model": name} | {key: scored.get(key) for key in total.product} for name, scored in figures.items()
    ]
