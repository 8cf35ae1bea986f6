"""`foretell collect`."""

import dataclasses
from typing import Literal

import click

from foretell.datasets.collectors import TORCH
from foretell.datasets.collectors.energy import NoEnergy
from foretell.datasets.collectors.here import collector_here
from foretell.datasets.store import Store
from foretell.errors import InputError, one_of
from foretell.serving.cli.measuring import measure
from foretell.serving.cli.output import json_option, print_json


@click.command()
@click.argument("kind", type=click.Choice(list(TORCH)))
@click.option("--seconds", type=click.IntRange(1, 7 * 86_400), default=60, show_default=True, help="Time.")
@click.option("--on", "device_type", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads of a CPU kernel [default: all cores].")
@click.option("--dtype", "dtypes", multiple=True, help="Data type, again for more [default: all].")
@click.option("--seed", type=int, default=0, show_default=True, help="Draws the shapes.")
@click.option("--energy/--no-energy", default=False, help="Measure energy too: a second more per shape.")
@json_option
def collect(
    *,
    kind: str,
    seconds: int,
    device_type: Literal["cpu", "cuda"],
    threads: int | None,
    dtypes: tuple[str, ...],
    seed: int,
    energy: bool,
    as_json: bool,
) -> None:
    """Measure an operator in many shapes on this machine.

    The same seed goes on where an earlier campaign stopped. Ctrl-C keeps what was measured.
    """
    store = Store()
    sensor = None if energy else NoEnergy("not asked for")
    collector = collector_here(kind, store, device_type, threads=threads, sensor=sensor)
    supported = collector.dtypes()
    for dtype in dtypes:
        if dtype not in supported:
            raise InputError("dtype", dtype, one_of(supported))
    cases = collector.cases(dtypes or supported, seed=seed)
    progress = measure(collector, cases, store, seconds)
    if as_json:
        print_json({"kind": kind, "store": str(store.root)} | dataclasses.asdict(progress))
    else:
        click.echo(
            f"{progress.measured} shapes measured, {progress.failed} failed, {progress.skipped} known; "
            f"kept in {store.root} for --device {collector.provenance().device}"
        )
