"""`foretell predict forward`."""

from pathlib import Path
from typing import Any

import click

from foretell.datasets.operators.fields import own_fields
from foretell.serving.cli.output import json_option, print_json, print_table
from foretell.serving.forward import Forward, Operator, Pass

MS = "ms"


@click.command()
@click.option("--model", type=click.Path(path_type=Path), required=True, help="A Hugging Face config.json.")
@click.option("--device", required=True, help="Name of the device.")
@click.option("--batch", type=int, default=1, show_default=True, help="Sequences.")
@click.option("--tokens", type=int, default=1, show_default=True, help="New tokens of each sequence.")
@click.option("--past", type=int, default=0, show_default=True, help="Tokens of each in the cache already.")
@click.option("--tp", type=int, default=1, show_default=True, help="Devices that share every layer.")
@click.option("--phase", default="prefill", show_default=True, help="prefill or decode.")
@click.option("--dtype", help="Of matrix products [default: of the published weights].")
@click.option("--kv-dtype", help="Of the cache [default: of the activations].")
@click.option("--backend", help="Library that runs the operators [default: all that were measured].")
@click.option("--backend-version", help="Its version.")
@json_option
def forward(*, model: Path, as_json: bool, **step: Any) -> None:
    """A forward pass of a transformer: its operators, latency, energy and memory.

    Nothing is downloaded: the operators follow from the shapes in the file, and registered models say how
    long each takes.
    """
    found = Forward().predict(model, **step)
    if as_json:
        print_json(found)
        return
    print_table([_operator_row(each) for each in found.operators], "operators of one pass on each device")
    click.echo()
    rows = [{"operator": name} | _in_ms(each) for name, each in found.latency_by_operator_us.items()]
    print_table([*rows, {"operator": "all"} | _in_ms(found.latency_us)], "latency")
    click.echo()
    for line in (*_energy(found), *_memory(found), *found.notes):
        click.echo(line)
    click.echo("left out: " + "; ".join(found.left_out))


def _operator_row(operator: Operator) -> dict[str, Any]:
    low, middle, high = operator.call_us
    return {
        "name": operator.name,
        "operator": operator.operator,
        "shape": _shape(operator),
        "count": operator.count,
        "us each": middle,
        "90 % from us": low,
        "to us": high,
        "share %": 100 * operator.share,
        "by": operator.model + (", outside" if operator.outside else ""),
    }


def _shape(operator: Operator) -> str:
    """The operator's own fields."""
    shape = own_fields(type(operator.query))
    return " ".join(f"{name}={getattr(operator.query, name)}" for name in shape)


def _in_ms(quantiles_us: tuple[float, ...]) -> dict[str, float]:
    low, middle, high = (value / 1e3 for value in quantiles_us)
    return {MS: middle, f"90 % from {MS}": low, f"to {MS}": high}


def _energy(found: Pass) -> list[str]:
    if found.energy_mj is None:
        return [f"energy: not known: {found.energy_reason}"]
    low, middle, high = (value / 1e3 for value in found.energy_mj)
    said = f"energy of all devices: {middle:.4g} J, 90 % from {low:.4g} to {high:.4g}"
    return [said + (f" ({found.energy_reason})" if found.energy_reason else "")]


def _memory(found: Pass) -> list[str]:
    held, device_gb = found.memory, found.memory_device_bytes / 1e9
    parts = f"weights {held.weights_bytes / 1e9:.4g}, cache {held.cache_bytes / 1e9:.4g}"
    parts += f", activations {held.activations_bytes / 1e9:.4g}"
    fits = "fits" if found.fits else "does not fit"
    return [
        f"memory of each device: {held.total_bytes / 1e9:.4g} GB ({parts}), {fits} its {device_gb:.4g} GB"
    ]
