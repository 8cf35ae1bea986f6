"""What every collector is: a case in, a frozen measurement out; a case that failed says why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from foretell.errors import InputError

Status = Literal["ok", "failed"]


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether something can run here; false says why."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


class Case(Protocol):
    """What to run: hashable, and written to the columns that name it in a row of its kind."""

    def columns(self) -> Mapping[str, object]:
        """Columns of the row that say what was run, such as m, n, k and dtype."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Time of one call.

    Attributes:
        latency_us: the chosen quantile of the repeats.
        spread: interquartile range / median of the repeats.
        repeats: number of samples taken.
        calls_per_repeat: calls inside one sample, more than one for calls too short for the clock; null
            where a recording does not say.
        settled: whether the repeats came to rest before the time ran out; null likewise.
    """

    latency_us: float
    spread: float | None
    repeats: int | None
    calls_per_repeat: int | None = None
    settled: bool | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_us) and self.latency_us > 0):
            raise InputError("latency_us", self.latency_us, "a positive finite time")


@dataclass(frozen=True, slots=True)
class Energy:
    """Energy of one call, or why there is none.

    Attributes:
        energy_mj: energy of one call.
        power_w: mean power while it ran again and again.
        power_limit_w: the limit that the device was set to.
        reason: why `energy_mj` is null.
    """

    energy_mj: float | None = None
    power_w: float | None = None
    power_limit_w: float | None = None
    reason: str | None = None

    def __post_init__(self) -> None:
        if (self.energy_mj is None) == (self.reason is None):
            raise InputError("reason", self.reason, "a reason exactly where energy_mj is null")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a measurement comes from.

    Attributes:
        device: name of the device row.
        backend: library that ran the case, such as ``torch``.
        backend_version: its version, build included.
        origin: ``collector/<host>``, or ``replay:<origin>`` where a recording is played back.
        host: name of the machine.
        driver: driver of the device; null where there is none or a recording does not say.
        threads: threads of the host that share the work; null where a recording does not say.
        foretell_version: version of this package.
    """

    device: str
    backend: str
    backend_version: str
    origin: str
    host: str
    driver: str | None
    threads: int | None
    foretell_version: str

    def columns(self) -> dict[str, object]:
        """The part of it that a row keeps."""
        return {name: getattr(self, name) for name in ("device", "backend", "backend_version", "origin")}


@dataclass(frozen=True, slots=True)
class Measurement:
    """One case, measured or failed.

    Attributes:
        case: what was run.
        provenance: where and with what.
        status: ``ok``, or ``failed`` with a `reason` and no `timing`.
        reason: why the case failed.
        timing: time of one call.
        energy: energy of one call, or why there is none.
        load_1m: load average of the host when the case began; null where the system has none.
        started_ns: monotonic clock when the case began.
        measured_at: time of day (UTC) when the case began; null where a recording does not say.
    """

    case: Case
    provenance: Provenance
    status: Status
    reason: str | None
    timing: Timing | None
    energy: Energy
    load_1m: float | None
    started_ns: int
    measured_at: datetime | None

    def __post_init__(self) -> None:
        if (self.status == "ok") != (self.timing is not None):
            raise InputError("timing", self.timing, "a timing exactly where the status is ok")
        if (self.status == "failed") != bool(self.reason):
            raise InputError("reason", self.reason, "a reason exactly where the status is failed")


C_contra = TypeVar("C_contra", bound=Case, contravariant=True)


class Collector(Protocol[C_contra]):
    """Measures cases of one kind. Constructors store options; clock and sensor are among them."""

    @property
    def kind(self) -> str:
        """Kind of the rows that its measurements become."""
        ...

    def available(self) -> Availability:
        """Yes, or no with the reason."""
        ...

    def provenance(self) -> Provenance:
        """Where its measurements come from.

        Raises:
            UnavailableError: it cannot run here.
        """
        ...

    def measure(self, case: C_contra) -> Measurement:
        """Run one case. What goes wrong with the case becomes a failed measurement.

        Raises:
            UnavailableError: the collector cannot run here at all.
        """
        ...
