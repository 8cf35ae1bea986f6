"""`foretell train`."""

from pathlib import Path

import click

from foretell.datasets.store import Store
from foretell.errors import ArtefactError, InputError, NotRegisteredError
from foretell.predictors.families import FAMILIES
from foretell.serving import registry
from foretell.serving.cli.output import in_words, json_option, print_json, print_table
from foretell.training import recipe
from foretell.training.recipe import Training
from foretell.training.targets import TARGETS


@click.command()
@click.argument("target", type=click.Choice(sorted(TARGETS)))
@click.option("--family", type=click.Choice(list(FAMILIES)), help="Default: the one that suits the target.")
@click.option("--seed", type=int, default=recipe.SEED, show_default=True)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("mlruns/accuracy.png"),
    show_default=True,
)
@json_option
def train(*, target: str, family: str | None, seed: int, plot: Path, as_json: bool) -> None:
    """Learn a target from all rows in the store, judge it on held-out groups, register and promote it."""
    trained = run_training(target, family=family, seed=seed, plot=plot)
    if as_json:
        print_json(trained)
    else:
        show(trained)


def run_training(target: str, *, plot: Path, family: str | None = None, seed: int = recipe.SEED) -> Training:
    """Train against the present champion."""
    try:
        champion = registry.champion(target).path
    except NotRegisteredError:
        champion = None
    except ArtefactError as error:
        click.echo(f"foretell: {error}", err=True)
        champion = recipe.LOST
    try:
        plot.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError("plot", str(plot), f"a file that can be written ({error.strerror})") from error
    return recipe.train(target, Store(), plot=plot, champion=champion, family=family, seed=seed)


def show(trained: Training) -> None:
    """The figures beside the baselines, and what became of the model."""
    print_table(
        [{"model": name} | in_words(figures) for name, figures in trained.scores.items()],
        f"{trained.rows} rows learnt from, {trained.held_out} held out by whole groups",
    )
    verdict = "is the champion now" if trained.promotion.promoted else "does not answer"
    version = trained.version
    click.echo(f"{version.name} version {version.version} {verdict}: {trained.promotion.reason}")
    click.echo(f"picture: {trained.plot}")
