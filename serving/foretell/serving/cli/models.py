"""`foretell models` and `foretell promote`."""

from datetime import UTC, datetime

import click

from foretell.serving import registry
from foretell.serving.cli.output import json_option, print_json, print_table
from foretell.training.promotion import promote as promote_version


@click.command()
@click.argument("target", required=False)
@json_option
def models(*, target: str | None, as_json: bool) -> None:
    """List the registered models, newest first; of one target where it is given."""
    found = registry.models(target)
    if as_json:
        print_json(found)
        return
    print_table(
        [
            {
                "target": model.target,
                "version": model.version,
                "": "champion" if model.champion else "",
                "registered": f"{datetime.fromtimestamp(model.created_at_s, UTC):%Y-%m-%d %H:%M} UTC",
                "mean error %": model.metrics.get("mape"),
                "inside 90 % interval, %": model.metrics.get("coverage_90"),
                "held out": model.tags.get("foretell.split"),
            }
            for model in found
        ]
    )
    if not found:
        click.echo("nothing is registered; `foretell train` does that")


@click.command()
@click.argument("target")
@click.argument("version")
def promote(*, target: str, version: str) -> None:
    """Make VERSION of TARGET the champion, whatever its score."""
    click.echo(f"{target} version {version} is the champion now, {promote_version(target, version).reason}")
