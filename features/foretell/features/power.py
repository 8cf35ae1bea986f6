"""The encoders of power and of energy per call: what an operator's time knows, and the device's power limit.

A device draws what it draws idle, and more the busier it is, up to its limit. How busy a kernel keeps it is
first of all the share of the time that is no launch.
"""

from typing import Any, ClassVar, Final

import numpy as np
import polars as pl

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.attention import AttentionQuery
from foretell.datasets.operators.fields import Amount, Placed
from foretell.datasets.operators.gemm import GemmQuery
from foretell.errors import InputError
from foretell.features.attention import AttentionEncoder
from foretell.features.base import Array, Batch
from foretell.features.gemm import GemmEncoder
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import Machine, Operations
from foretell.features.places import Traits

LAUNCH_US: Final = 5.0
"""What a launch takes on a GPU, in which it is all but idle."""
OVERSHOOT: Final = 1.03
"""How far above its limit a device's mean draw was seen: 3 % at most, on two GPUs."""
LIMIT: Final = "power_limit_w"
NAMES: Final = ("log_power_limit",)
"""What comes before the features of the operator's time, so that it is part of the range that was seen."""


class GemmPowerQuery(GemmQuery, frozen=True):
    """What is asked of `gemm.power`; `power_limit_w` caps the device, 0 is its own limit."""

    power_limit_w: Amount = 0


class AttentionPowerQuery(AttentionQuery, frozen=True):
    """What is asked of `attention.power`; `power_limit_w` caps the device, 0 is its own limit."""

    power_limit_w: Amount = 0


class _Drawing(KernelEncoder):
    """What power and energy have in common: the features of the operator's time, and how busy it keeps.

    Subclasses name their own `query` and the encoder of the time, `timed`.
    """

    query: ClassVar[type[Placed]] = GemmQuery
    timed: ClassVar[type[KernelEncoder]] = GemmEncoder

    @classmethod
    def traits(cls, figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Those of the operator's time, and the device's power limit in W.

        Raises:
            InputError: a device without a power limit.
        """
        if figures.power_limit_w is None:
            raise InputError("device", figures.name, "a device that is described with its power_limit_w")
        return (*cls.timed.traits(figures, dtype, *own), figures.power_limit_w)

    @classmethod
    def drawn(cls, query: Any, machine: Machine, traits: Traits, ops: Operations) -> tuple[Physics, Any]:
        """Features, least time and memory held; the power in W of the uncapped device as busy as that."""
        *timed, own_limit_w = traits
        features, least_us, held_bytes = cls.timed.physics(query, machine, tuple(timed), ops)
        asked_w = getattr(query, "power_limit_w", 0)
        limit_w = asked_w + (asked_w == 0) * own_limit_w
        power_w = own_limit_w * least_us / (least_us + LAUNCH_US)
        return ([ops.log2(limit_w), *features], least_us, held_bytes), power_w


class _Power(_Drawing):
    """A device under a cap draws what it would draw without, or as much as the cap lets it.

    That much is physics; a model adds what it has learnt only where other limits than one were measured, and
    a limit beyond those is outside of what it has seen.
    """

    @classmethod
    def physics(cls, query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Features, the power of a device that is as busy as its roofline says, W, and the memory held."""
        (features, _, held_bytes), power_w = cls.drawn(query, machine, traits, ops)
        return features, power_w, held_bytes

    def columns(self, rows: pl.DataFrame) -> Batch:
        """The queries in a frame; a measured limit is taken to whole watts, a missing one is the device's."""
        if LIMIT in rows.columns and rows[LIMIT].dtype.is_float() and rows[LIMIT].is_finite().all():
            rows = rows.with_columns(pl.col(LIMIT).fill_null(0).round().cast(pl.Int64))
        return super().columns(rows)

    def bound(self, batch: Batch) -> Array:
        """The most that a device draws under the limit asked for, W, shape (rows,)."""
        asked_w = batch.numbers[LIMIT]
        own_w = np.array([self._places.site(place)[1][-1] for place in batch.places])[batch.codes]
        return OVERSHOOT * np.where(asked_w > 0, asked_w, own_w)

    def bound_one(self, query: Any) -> float:
        """`bound` for one query."""
        own_w: float = self._places.site(self.place(query))[1][-1]
        return OVERSHOOT * (query.power_limit_w or own_w)


class _Energy(_Drawing):
    """Energy at the device's own limit: what a cap saves in power and costs in time was not measured."""

    @classmethod
    def physics(cls, query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Features, that power for the least time, mJ, and the memory held."""
        (features, least_us, held_bytes), power_w = cls.drawn(query, machine, traits, ops)
        return features, power_w * least_us / 1000.0, held_bytes


class GemmPowerEncoder(_Power):
    """Mean power of matrix products."""

    query: ClassVar[type[Placed]] = GemmPowerQuery
    timed: ClassVar[type[KernelEncoder]] = GemmEncoder
    names: ClassVar[tuple[str, ...]] = (*NAMES, *GemmEncoder.names)
    extent: ClassVar[int] = len(NAMES) + GemmEncoder.extent


class AttentionPowerEncoder(_Power):
    """Mean power of attention."""

    query: ClassVar[type[Placed]] = AttentionPowerQuery
    timed: ClassVar[type[KernelEncoder]] = AttentionEncoder
    names: ClassVar[tuple[str, ...]] = (*NAMES, *AttentionEncoder.names)
    extent: ClassVar[int] = len(NAMES) + AttentionEncoder.extent


class GemmEnergyEncoder(_Energy):
    """Energy of a call of a matrix product."""

    query: ClassVar[type[Placed]] = GemmQuery
    timed: ClassVar[type[KernelEncoder]] = GemmEncoder
    names: ClassVar[tuple[str, ...]] = GemmPowerEncoder.names
    extent: ClassVar[int] = len(NAMES) + GemmEncoder.extent


class AttentionEnergyEncoder(_Energy):
    """Energy of a call of attention."""

    query: ClassVar[type[Placed]] = AttentionQuery
    timed: ClassVar[type[KernelEncoder]] = AttentionEncoder
    names: ClassVar[tuple[str, ...]] = AttentionPowerEncoder.names
    extent: ClassVar[int] = len(NAMES) + AttentionEncoder.extent
