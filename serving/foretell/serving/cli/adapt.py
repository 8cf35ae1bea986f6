"""`foretell adapt`."""

import dataclasses
from pathlib import Path

import click
import polars as pl

from foretell.datasets.spaces import SPACES
from foretell.datasets.store import Store
from foretell.errors import InputError
from foretell.serving.cli.output import json_option, print_json
from foretell.serving.cli.rows import read_rows
from foretell.training import adaptation


@click.command()
@click.argument("target", type=click.Choice(["network.latency"]))
@click.option("--device", required=True, help="Name of the new device.")
@click.option(
    "--measurements",
    type=click.Path(path_type=Path),
    help="File with the columns architecture and latency_ms.",
)
@click.option("--choose", type=int, help="Say which architectures to measure, this many, and stop.")
@click.option("--space", type=click.Choice(sorted(SPACES)), help="Search space to choose from.")
@json_option
def adapt(
    *,
    target: str,
    device: str,
    measurements: Path | None,
    choose: int | None,
    space: str | None,
    as_json: bool,
) -> None:
    """Foretell networks on a new device from ten or twenty measurements of it.

    The devices in the store are its sources. With --choose the architectures to measure are printed.
    """
    del target
    if (measurements is None) == (choose is None):
        raise InputError("measurements", measurements, "either --measurements or --choose")
    store = Store()
    if choose is not None:
        if space is None:
            raise InputError("space", space, f"--space with --choose: {', '.join(SPACES)}")
        texts = adaptation.proposed(store, space, device, choose)
        _print(pl.DataFrame({"architecture": texts}), texts, as_json=as_json)
        return
    assert measurements is not None  # noqa: S101  (narrows the type)
    found = adaptation.adapt_device(store, device, read_rows(measurements, "measurements"))
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    click.echo(
        f"{found.version.name} version {found.version.version}: {found.measured} measurements, "
        f"{len(found.sources)} sources; each foretold from the others: error {found.mape:.3g} %, "
        f"{found.coverage_90:.0f} % inside of the 90 % interval"
    )


def _print(frame: pl.DataFrame, texts: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json(texts)
    else:
        click.echo(frame.write_csv(), nl=False)
