"""`foretell predict`: one question by options, or a file of them."""

from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Final

import click
import msgspec
import polars as pl
from msgspec.inspect import Field, IntType

from foretell.datasets.device import device, slug
from foretell.errors import InputError, one_of
from foretell.features.fields import alternatives, fields_of, words
from foretell.predictors.base import Prediction
from foretell.predictors.families import ENCODERS
from foretell.serving.api import Foretell
from foretell.serving.cli.output import print_json, print_table
from foretell.serving.cli.rows import READERS, read_rows
from foretell.training.targets import TARGETS, find

FORWARD: Final = "forward"


class Targets(click.Group):
    """One command per target, whose options are the fields of its query."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the targets, and of what is made up of several."""
        return [*sorted(TARGETS), FORWARD]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of one target.

        Raises:
            InputError: there is no such target.
        """
        if cmd_name == FORWARD:
            from foretell.serving.cli.forward import forward  # noqa: PLC0415  (only this one needs all targets)

            return forward
        find(cmd_name)
        return _command(cmd_name)


@click.group(cls=Targets)
def predict() -> None:
    """Say how long something will take, with its 90 % interval."""


def _command(target: str) -> click.Command:
    query: type[msgspec.Struct] = resolve_name(ENCODERS[TARGETS[target].task.encoder]).query
    options: list[click.Parameter] = [
        click.Option([f"--{name.replace('_', '-')}", name], help=_help(field))
        for name, field in fields_of(query).items()
    ]
    file = click.Option(
        ["--file"], type=click.Path(path_type=Path), help=f"Many questions: a file in {one_of(READERS)}."
    )
    calibrate = click.Option(
        ["--calibrate"],
        type=click.Path(path_type=Path),
        help=f"Measurements of the device that is asked about: a file in {one_of(READERS)}, with the label.",
    )
    flag = click.Option(["--json", "as_json"], is_flag=True, help="Print the result as JSON.")

    def answer(file: Path | None, calibrate: Path | None, as_json: bool, **fields: str | None) -> None:
        given = {
            name: _value(text, fields_of(query)[name]) for name, text in fields.items() if text is not None
        }
        if file is not None and given:
            raise InputError("file", str(file), "either a file or the fields of one question, not both")
        model = Foretell(target)
        rows: Any = given if file is None else read_rows(file)
        questions = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame([given])
        if calibrate is not None:
            model = _calibrated(model, read_rows(calibrate, "calibrate"), questions)
        prediction = model.predict(rows)
        _show(prediction, questions, model.version, as_json=as_json)

    return click.Command(
        target,
        callback=answer,
        params=[*options, file, calibrate, flag],
        help=f"Predict {target}, in {TARGETS[target].task.unit}.",
    )


def _help(field: Field) -> str:
    text = words(field.type)
    return f"{text[0].upper()}{text[1:]}." + ("" if field.required else " Optional.")


def _value(text: str, field: Field) -> str | int:
    """A whole number where one is asked for; anything else goes on as it is, to be refused by name."""
    if any(isinstance(kind, IntType) for kind in alternatives(field.type)):
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _calibrated(model: Foretell, measured: pl.DataFrame, questions: pl.DataFrame) -> Foretell:
    """The model with a handful of measurements, of the device that is asked about and of no other."""
    if "device" in measured.columns and "device" in questions.columns:
        known = set(map(_device, measured["device"].unique()))
        for name in questions["device"].unique():
            if _device(name) not in known:
                raise InputError("device", name, f"the device that was measured, {one_of(sorted(known))}")
    return model.calibrated(measured)


def _device(name: str) -> str:
    """One name for all that a device goes by; one that the published table lacks has its own."""
    try:
        return device(str(name)).name
    except InputError:
        return slug(str(name))


def _show(prediction: Prediction, questions: pl.DataFrame, version: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"version": version} | msgspec.to_builtins(_builtin(prediction)))
        return
    names = [f"{level:.0%} {prediction.unit}" for level in prediction.levels]
    quantiles = pl.DataFrame(prediction.values, schema=names, orient="row")
    shown = questions.hstack([*quantiles, pl.Series("outside", prediction.outside)])
    print_table(shown.to_dicts(), f"{prediction.target}, model version {version}")
    if prediction.outside.any():
        count = int(prediction.outside.sum())
        click.echo(
            f"{count} of {len(prediction.outside)} outside of what the model has seen: its interval is wide"
        )


def _builtin(prediction: Prediction) -> dict[str, object]:
    return {
        "target": prediction.target,
        "unit": prediction.unit,
        "levels": list(prediction.levels),
        "values": prediction.values.tolist(),
        "outside": prediction.outside.tolist(),
    }
