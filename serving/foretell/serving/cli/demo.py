"""`foretell demo`: measure, learn, register, predict shapes never measured, and measure those."""

import itertools
from pathlib import Path
from typing import Any

import click

from foretell.datasets.collectors.base import Measurement
from foretell.datasets.collectors.cases import KernelCase
from foretell.datasets.collectors.energy import NoEnergy
from foretell.datasets.collectors.here import collector_here
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.doctor import findings
from foretell.datasets.store import Store
from foretell.serving.api import Foretell
from foretell.serving.cli.measuring import measure
from foretell.serving.cli.output import print_table
from foretell.serving.cli.train import run_training, show

TARGET = "gemm.latency"
PICTURE = Path("mlruns/demo.png")
SHAPE = ("m", "n", "k", "dtype")
NEW_SHAPES = 5
NEW_SEED = 1_000_003
NEXT = """what to try next
  foretell predict gemm.latency --help     ask for a shape of your own
  foretell serve                           the same over REST, with docs at /docs
  foretell evaluate gemm.latency           where the model errs, and how much
  marimo edit serving/foretell/serving/notebooks/evaluate.py
  mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db
  foretell pull aiconfigurator             GPU kernels, after pip install aiconfigurator-core
"""


@click.command()
@click.option("--seconds", type=click.IntRange(5, 3600), default=60, show_default=True, help="Measuring.")
def demo(*, seconds: int) -> None:
    """Measure matrix products here, learn from them, and foretell shapes that were never measured."""
    store = Store()
    _heading("what this machine can measure")
    for finding in findings(store.root):
        click.echo(f"  {'ok' if finding.ok else '--'}  {finding.name}: {finding.detail}")

    _heading(f"measuring matrix products for {seconds} s, on one thread so that a busy machine disturbs less")
    collector = collector_here("gemm", store, "cpu", threads=1, sensor=NoEnergy("not asked for"))
    measure(collector, collector.cases(), store, seconds)

    _heading("learning, judged on shapes held out")
    show(run_training(TARGET, plot=PICTURE))

    _heading(f"{NEW_SHAPES} shapes that were never measured: predicted first, measured right after")
    print_table(_new_shapes(collector, store))
    click.echo(f"\n{NEXT}")


def _heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)


def _new_shapes(collector: TorchKernels[Any], store: Store) -> list[dict[str, Any]]:
    """Predictions with their intervals, then the measurements, of shapes that are not in the store."""
    known = set(store.scan("kernel").select(SHAPE).collect().iter_rows())
    stream = collector.cases(seed=NEW_SEED)
    new = (case for case in stream if tuple(case.columns()[name] for name in SHAPE) not in known)
    cases = list(itertools.islice(new, NEW_SHAPES))
    place = collector.provenance()
    questions = [
        {name: case.columns()[name] for name in SHAPE}
        | {"device": place.device, "backend": place.backend, "backend_version": place.backend_version}
        for case in cases
    ]
    prediction = Foretell(TARGET).predict(questions)
    return [
        _side_by_side(case, values, collector.measure(case))
        for case, values in zip(cases, prediction.values.tolist(), strict=True)
    ]


def _side_by_side(case: KernelCase[Any], quantiles: list[float], measured: Measurement) -> dict[str, Any]:
    low, middle, high = quantiles
    row: dict[str, Any] = {name: case.columns()[name] for name in SHAPE}
    row |= {"predicted us": middle, "90 % from us": low, "to us": high}
    if measured.timing is None:
        return row | {"measured us": None, "error %": None, "inside": measured.reason}
    actual = measured.timing.latency_us
    inside = "yes" if low <= actual <= high else "no"
    return row | {"measured us": actual, "error %": abs(middle / actual - 1) * 100, "inside": inside}
