"""`foretell bench`: one command per protocol."""

from collections.abc import Callable, Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import click
import msgspec

from foretell.errors import InputError
from foretell.serving.cli.output import print_table
from foretell.training.bench import OPTIONS, PROTOCOLS, Option
from foretell.training.bench.report import Group, Report, Total
from foretell.training.targets import TARGETS


def _in_a_folder(ctx: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Refuse a file that cannot be written before the work and not after it."""
    del ctx, parameter
    if path is not None and not path.parent.is_dir():
        raise InputError("json", str(path), "a file in a folder that exists")
    return path


json_file_option = click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_in_a_folder,
    help="File for the figures.",
)


@click.group()
def bench() -> None:
    """Measure foretell beside its peer and the trivial baselines, on the same data in one run."""


@bench.command()
@click.option("--target", type=click.Choice(sorted(TARGETS)), default="gemm.latency", show_default=True)
@json_file_option
def serving(*, target: str, json_file: Path | None) -> None:
    """The server beside `mlflow models serve`, with the registered champion."""
    from foretell.serving import bench as protocol  # noqa: PLC0415  (it is the only one that needs a server)

    result = protocol.run(target)
    _write(result, json_file)
    print_table(_serving_rows(result))


@bench.command()
@click.option("--target", type=click.Choice(sorted(TARGETS)), default="gemm.latency", show_default=True)
@json_file_option
def answers(*, target: str, json_file: Path | None) -> None:
    """Answers in process beside the bare LightGBM calls that they need, with the registered champion."""
    from foretell.serving import bench_answers as protocol  # noqa: PLC0415  (only this one needs lightgbm)

    result = protocol.run(target)
    _write(result, json_file)
    for group in result["groups"]:
        print_table([{"rows": group["rows"], **group["product"], **group["peers"]}])


@bench.command("llm-d")
@click.option(
    "--seconds", type=click.FloatRange(min=0.5), default=5.0, show_default=True, help="Of a window."
)
@click.option("--kills", type=click.IntRange(min=0), default=20, show_default=True)
@json_file_option
def llm_d(*, seconds: float, kills: int, json_file: Path | None) -> None:
    """The llm-d protocol's servers: a call's cost, learning under load, and crashes."""
    from foretell.serving.llmd import bench as protocol  # noqa: PLC0415  (only this one needs a server)

    result = protocol.run(seconds, kills)
    _write(result, json_file)
    print_table(result["calls"])
    print_table([result["learning"]])
    print_table([result["faults"]])


def _serving_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Both servers and their ratio, for each number of rows a call."""
    memory_mb = result["rss_mb"]
    return [
        {"rows a call": group["group"]["rows"], "server": name}
        | {key: figures.get(key) for key in ("requests_per_s", "p50_ms", "p99_ms")}
        | {"memory_mb": memory_mb.get(name)}
        for group in result["groups"]
        for name, figures in (
            ("foretell", group["product"]),
            *group["peers"].items(),
            ("ratio", group["ratio"]),
        )
    ]


def _data_command(name: str) -> click.Command:
    """The command of a protocol that runs on a folder of files, with the options that it declares."""

    def command(data: Path, json_file: Path | None, **options: Any) -> None:
        run: Callable[..., Report] = resolve_name(PROTOCOLS[name])
        report = run(data, **{option: value for option, value in options.items() if value is not None})
        _write(report, json_file)
        _show(report)

    folder = click.Path(path_type=Path, exists=True, file_okay=False)
    data_option = click.option("--data", type=folder, required=True, help="Folder of the data.")
    described = f"Fit and score the protocol {name} on the files in a folder."
    whole = click.command(name, help=described)(data_option(json_file_option(command)))
    whole.params += [_parameter(option, declared) for option, declared in OPTIONS.get(name, {}).items()]
    return whole


def _parameter(name: str, declared: Option) -> click.Option:
    if declared.type is tuple:
        return click.Option([f"--{name}"], metavar="NAME,NAME", callback=_names, help=declared.help)
    if declared.type is bool:
        return click.Option([f"--{name}"], is_flag=True, default=None, help=declared.help)
    return click.Option([f"--{name}"], type=declared.type, help=declared.help)


def _names(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Names that were given with commas between them."""
    del ctx
    if value is None:
        return None
    names = tuple(name.strip() for name in value.split(","))
    if not all(names):
        raise InputError(str(parameter.name), value, "names with commas between them")
    return names


for _name in PROTOCOLS:
    bench.add_command(_data_command(_name))


def _write(result: object, json_file: Path | None) -> None:
    if json_file:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))


def _show(report: Report) -> None:
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
        {"model": name, **{key: scored.get(key) for key in total.product}} for name, scored in figures.items()
    ]
