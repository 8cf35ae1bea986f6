"""`foretell pull`."""

from pathlib import Path
from pkgutil import resolve_name

import click

from foretell.datasets.sources import SOURCES
from foretell.datasets.store import Store
from foretell.serving.cli.output import json_option, print_json


@click.command()
@click.argument("source", type=click.Choice(sorted(SOURCES)))
@click.option(
    "--from",
    "path",
    type=click.Path(path_type=Path),
    help="Folder or file of the published tables [default: the installed package].",
)
@json_option
def pull(*, source: str, path: Path | None, as_json: bool) -> None:
    """Read published measurements into the store; rows refused are kept with the reason."""
    reader = resolve_name(SOURCES[source])(path)
    batch = reader.read()
    kept = Store().append(reader.kind, batch.rows, batch.rejected, once=True)
    if as_json:
        print_json(kept)
    elif not kept.accepted + kept.rejected:
        click.echo(f"these rows are in the store already; {reader.kind} is {kept.version}")
    else:
        click.echo(f"{kept.accepted} rows kept, {kept.rejected} refused; {reader.kind} is now {kept.version}")
