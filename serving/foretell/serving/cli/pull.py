"""`foretell pull`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name

import click

from foretell.datasets.sources import SOURCES
from foretell.datasets.sources.base import Batch, Note
from foretell.datasets.store import Store
from foretell.serving.cli.output import json_option, print_json


@dataclass(slots=True)
class Pulled:
    """What became of a published dataset.

    Attributes:
        version: of the kind with its rows in it.
        accepted: rows that were kept; those that are in the store already count as neither.
        rejected: rows kept aside.
        rules: how many were rejected, by the rule that they broke.
        notes: what is odd about the tables that were kept.
    """

    version: str
    accepted: int = 0
    rejected: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    notes: list[Note] = field(default_factory=list)


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
    pulled = _keep(reader.kind, reader.batches())
    if as_json:
        print_json(pulled)
        return
    for note in pulled.notes:
        click.echo(f"{note.check}: {note.table}: {note.evidence}")
    for rule, count in pulled.rules.most_common():
        click.echo(f"refused: {count} rows, {rule}")
    if not pulled.accepted + pulled.rejected:
        click.echo(f"these rows are in the store already; {reader.kind} is {pulled.version}")
    else:
        counts = f"{pulled.accepted} rows kept, {pulled.rejected} refused"
        click.echo(f"{counts}; {reader.kind} is now {pulled.version}")


def _keep(kind: str, batches: Iterable[Batch]) -> Pulled:
    """Append each batch that has rows, once."""
    store = Store()
    pulled = Pulled(store.version(kind))
    for batch in batches:
        pulled.notes += batch.notes
        if batch.rows.is_empty() and batch.rejected.is_empty():
            continue
        kept = store.append(kind, batch.rows, batch.rejected, once=True)
        pulled.accepted += kept.accepted
        pulled.rejected += kept.rejected
        pulled.version = kept.version
        if kept.rejected:
            pulled.rules.update(batch.rejected["rule"])
    return pulled
