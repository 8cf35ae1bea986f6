"""A forward pass of a transformer, from what the models of its operators say: latency, energy, memory."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from foretell.datasets.device import DeviceFigures, device
from foretell.datasets.operators.fields import Placed
from foretell.datasets.store import Store
from foretell.datasets.transformer.config import read_config, transformer
from foretell.datasets.transformer.listing import Listed, operators_of
from foretell.datasets.transformer.memory import Memory, memory_of
from foretell.datasets.transformer.model import Transformer
from foretell.datasets.transformer.step import Step
from foretell.errors import InputError, NotRegisteredError
from foretell.features.base import Array
from foretell.features.fields import to_query
from foretell.predictors.base import LEVELS
from foretell.predictors.tables import checked_levels
from foretell.predictors.total import correlations, sum_quantiles
from foretell.predictors.untrained import Untrained
from foretell.serving.api import Foretell
from foretell.training.recipe import described_devices
from foretell.training.targets import TARGETS

ROOFLINE: Final = "roofline"
LEAST_COVERED: Final = 0.5
"""Share of the time that must have a measured energy, so that the rest may be taken to draw as much."""
LEFT_OUT: Final = (
    "launch gaps between kernels, and what the host does in between",
    "overlap of kernels, and of communication with arithmetic",
    "fusion: norms, rotary positions, activations and residual additions count as kernels of their own",
    "cold caches: operators were measured again and again on the same operands",
    "the embedding's look-up, sampling, and turning text into tokens and back",
    "memory that libraries and allocators keep for themselves",
)

Quantiles = tuple[float, ...]


class Operator(msgspec.Struct, frozen=True):
    """One operator of a pass.

    Attributes:
        name: what it does in the model.
        operator: name of the operator.
        count: calls in one pass.
        query: its shape and place.
        call_us: quantiles of one call.
        latency_us: quantiles of all its calls: the same error every time.
        share: of the pass' median latency.
        model: what answered: a target and version, or ``roofline`` where none is registered.
        outside: whether it lies outside of what that model has seen.
        call_energy_mj: quantiles of the energy of one call on one device; null without a model of it.
    """

    name: str
    operator: str
    count: int
    query: Placed
    call_us: Quantiles
    latency_us: Quantiles
    share: float
    model: str
    outside: bool
    call_energy_mj: Quantiles | None


class Pass(msgspec.Struct, frozen=True):
    """One forward pass.

    Attributes:
        levels: increasing quantile levels, 0.5 among them.
        latency_us: quantiles of the whole pass.
        operators: in the order in which they first run.
        latency_by_operator_us: quantiles by name of the operator.
        energy_mj: quantiles of the energy of all devices together; null where too little of it is known.
        energy_reason: why it is null, or what was assumed.
        memory: bytes on each device.
        memory_device_bytes: what a device has.
        fits: whether it does.
        left_out: what the figures do not hold.
        notes: what to know of these ones, such as operators that no model was trained for.
    """

    levels: tuple[float, ...]
    latency_us: Quantiles
    operators: list[Operator]
    latency_by_operator_us: dict[str, Quantiles]
    energy_mj: Quantiles | None
    energy_reason: str | None
    memory: Memory
    memory_device_bytes: int
    fits: bool
    left_out: tuple[str, ...]
    notes: tuple[str, ...]


class _Answer(msgspec.Struct, frozen=True):
    """Quantiles of one call, what gave them, whether they are a guess, and whether for any backend."""

    values: Array
    model: str
    outside: bool
    spanning: bool = False


class Forward:
    """Foretells passes; the champions that it has looked up once go on answering."""

    def __init__(self) -> None:
        self._models: dict[str, Foretell | None] = {}
        self._untrained: dict[str, Untrained] = {}

    def predict(
        self,
        model: Path | str | Mapping[str, Any] | Transformer,
        *,
        levels: Sequence[float] = LEVELS,
        **step: Any,
    ) -> Pass:
        """One pass.

        Args:
            model: path or content of a Hugging Face ``config.json``, or what was read from one.
            levels: increasing quantile levels, 0.5 among them.
            step: fields of `foretell.datasets.transformer.step.Step`, such as device, batch, tokens and tp.

        Raises:
            InputError: a configuration, step or operator that cannot be; names the field.
        """
        asked, read, checked = to_query(step, Step), _read(model), checked_levels(levels)
        if 0.5 not in checked:
            raise InputError("levels", list(checked), "the median, 0.5, among them")
        listed = operators_of(read, asked)
        answers = [self._latency(each, checked) for each in listed]
        energies = [self._energy(each, checked) for each in listed]
        latency_us = _total(listed, answers, checked)
        energy_mj, reason = _total_energy(listed, answers, energies, checked)
        memory = memory_of(read, asked)
        held = round(self._figures(asked.device).memory_gb * 1e9)
        return Pass(
            levels=checked,
            latency_us=latency_us,
            operators=[
                _operator(*each, middle=checked.index(0.5), total_us=latency_us[checked.index(0.5)])
                for each in zip(listed, answers, energies, strict=True)
            ],
            latency_by_operator_us=_by_operator(listed, answers, checked),
            energy_mj=None if energy_mj is None else tuple(asked.tp * each for each in energy_mj),
            energy_reason=reason,
            memory=memory,
            memory_device_bytes=held,
            fits=memory.total_bytes <= held,
            left_out=LEFT_OUT,
            notes=_notes(listed, answers),
        )

    def _latency(self, listed: Listed, levels: tuple[float, ...]) -> _Answer:
        target = f"{listed.operator}.latency"
        model = self._model(target)
        if model is None:
            values = self._roofline(listed.operator).latency_us(listed.query, levels)
            return _Answer(values, ROOFLINE, outside=True)
        return _answered(model, listed.query, levels)

    def _energy(self, listed: Listed, levels: tuple[float, ...]) -> _Answer | None:
        model = self._model(f"{listed.operator}.energy")
        return None if model is None else _answered(model, listed.query, levels)

    def _model(self, target: str) -> Foretell | None:
        """The champion of a target; null where there is none."""
        if target not in self._models:
            try:
                self._models[target] = Foretell(target) if target in TARGETS else None
            except NotRegisteredError:
                self._models[target] = None
        return self._models[target]

    def _roofline(self, operator: str) -> Untrained:
        if operator not in self._untrained:
            self._untrained[operator] = Untrained(operator, self._described)
        return self._untrained[operator]

    def _figures(self, name: str) -> DeviceFigures:
        described = {figures.name: figures for figures in self._described}
        return described.get(name) or device(name)

    @cached_property
    def _described(self) -> list[DeviceFigures]:
        """Devices that were described on this machine."""
        return described_devices(Store())


def _read(model: Path | str | Mapping[str, Any] | Transformer) -> Transformer:
    if isinstance(model, Transformer):
        return model
    return read_config(Path(model)) if isinstance(model, Path | str) else transformer(model)


def _answered(model: Foretell, query: Placed, levels: tuple[float, ...]) -> _Answer:
    """What a model says of a query; over all backends where the one asked for is not known to it."""
    said = f"{model.target} version {model.version}"
    asked = {name: getattr(query, name) for name in query.__struct_fields__}
    prediction = model.predict(asked, levels)
    if query.backend is not None and prediction.outside[0]:
        over_all = model.predict(asked | {"backend": None, "backend_version": None}, levels)
        if not over_all.outside[0]:
            return _Answer(over_all.values[0], said, outside=False, spanning=True)
    return _Answer(prediction.values[0], said, outside=bool(prediction.outside[0]))


def _total(listed: Sequence[Listed], answers: Sequence[_Answer], levels: tuple[float, ...]) -> Quantiles:
    """Quantiles of the sum of all calls."""
    correlation = correlations(
        [each.query for each in listed],
        [(each.operator, answer.model) for each, answer in zip(listed, answers, strict=True)],
        [answer.outside for answer in answers],
    )
    values = np.array([answer.values for answer in answers])
    counts = np.array([each.count for each in listed], dtype=np.float64)
    return tuple(sum_quantiles(values, counts, correlation, levels.index(0.5)).tolist())


def _by_operator(
    listed: Sequence[Listed], answers: Sequence[_Answer], levels: tuple[float, ...]
) -> dict[str, Quantiles]:
    names = dict.fromkeys(each.operator for each in listed)
    chosen = {name: [n for n, each in enumerate(listed) if each.operator == name] for name in names}
    return {
        name: _total([listed[n] for n in rows], [answers[n] for n in rows], levels)
        for name, rows in chosen.items()
    }


def _total_energy(
    listed: Sequence[Listed],
    answers: Sequence[_Answer],
    energies: Sequence[_Answer | None],
    levels: tuple[float, ...],
) -> tuple[Quantiles | None, str | None]:
    """Energy of one device, and what was assumed; operators without a model of it draw as the others do."""
    middle = levels.index(0.5)
    time_us = [each.count * answer.values[middle] for each, answer in zip(listed, answers, strict=True)]
    known = [number for number, energy in enumerate(energies) if energy is not None]
    known_us, unknown = sum(time_us[number] for number in known), _names(listed, energies)
    targets = " and ".join(
        f"`foretell train {name}.energy`" for name in unknown if f"{name}.energy" in TARGETS
    )
    share = known_us / sum(time_us)
    if share < LEAST_COVERED:
        return None, f"models of energy cover {share:.0%} of the time; {targets or 'more of them'} would help"
    joules = sum(
        listed[n].count * energy.values[middle] for n in known if (energy := energies[n]) is not None
    )
    filled = [
        energy or _Answer(answer.values * joules / known_us, "mean power", outside=True)
        for energy, answer in zip(energies, answers, strict=True)
    ]
    said = f"{', '.join(unknown)}, {1 - share:.0%} of the time, are taken to draw the others' mean power"
    return _total(listed, filled, levels), said if unknown else None


def _names(listed: Sequence[Listed], energies: Sequence[_Answer | None]) -> list[str]:
    """Operators that no model says the energy of."""
    pairs = zip(listed, energies, strict=True)
    return list(dict.fromkeys(each.operator for each, energy in pairs if energy is None))


def _operator(
    listed: Listed, answer: _Answer, energy: _Answer | None, *, middle: int, total_us: float
) -> Operator:
    call_us = tuple(answer.values.tolist())
    latency_us = tuple(listed.count * value for value in call_us)
    return Operator(
        name=listed.name,
        operator=listed.operator,
        count=listed.count,
        query=listed.query,
        call_us=call_us,
        latency_us=latency_us,
        share=latency_us[middle] / total_us,
        model=answer.model,
        outside=answer.outside,
        call_energy_mj=None if energy is None else tuple(energy.values.tolist()),
    )


def _notes(listed: Sequence[Listed], answers: Sequence[_Answer]) -> tuple[str, ...]:
    pairs = list(zip(listed, answers, strict=True))
    bare = dict.fromkeys(each.operator for each, answer in pairs if answer.model == ROOFLINE)
    strange = [each.name for each, answer in pairs if answer.outside and answer.model != ROOFLINE]
    notes = [
        f"no model of {name}.latency is registered: its roofline stands in, within a factor of six; "
        f"`foretell train {name}.latency` makes one"
        for name in bare
    ]
    if strange:
        notes.append(
            f"outside of what the models have seen, so that intervals are wide: {', '.join(strange)}"
        )
    spanning = dict.fromkeys(each.operator for each, answer in pairs if answer.spanning)
    if spanning:
        notes.append(f"not measured with this backend, so answered over all: {', '.join(spanning)}")
    if any(each.operator == "moe" for each in listed):
        notes.append("tokens are taken to spread evenly over the experts")
    return tuple(notes)
