"""`foretell evaluate`."""

import click

from foretell.datasets.store import Store
from foretell.serving.api import Foretell
from foretell.serving.cli.output import in_words, json_option, print_json, print_table
from foretell.training.evaluation import evaluation
from foretell.training.targets import TARGETS


@click.command()
@click.argument("target", type=click.Choice(sorted(TARGETS)))
@json_option
def evaluate(*, target: str, as_json: bool) -> None:
    """Judge the champion on the groups that no training has seen: by table, by size, and the worst rows."""
    model = Foretell(target)
    found = evaluation(model.predictor, Store())
    if as_json:
        print_json({"version": model.version} | found.tables())
        return
    for title, rows in found.tables().items():
        print_table([in_words(row) for row in rows], title)
        click.echo()
