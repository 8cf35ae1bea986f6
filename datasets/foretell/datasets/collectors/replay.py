"""The replay double: plays recorded rows back through the collectors' protocol, so no hardware is needed."""

import time
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from foretell.datasets.collectors.base import Availability, Case, Energy, Measurement, Provenance, Timing
from foretell.datasets.collectors.campaign import CASE, case_key
from foretell.datasets.collectors.timing import ClockNs
from foretell.errors import InputError, UnavailableError

PLACE: Final = ("device", "backend", "backend_version", "origin")


class Replay:
    """Answers each case with what was recorded for it; an unknown one is a failed measurement.

    A case that was recorded several times plays its recordings in turn, and then again from the first.

    Args:
        rows: rows of the kind `kernel`, of one device, backend, version and origin.
        clock_ns: monotonic clock.
    """

    kind: Final = "kernel"

    def __init__(self, rows: pl.DataFrame, *, clock_ns: ClockNs = time.perf_counter_ns) -> None:
        places = rows.select(PLACE).unique()
        if places.height > 1:
            raise InputError("rows", places.rows(), "recordings of one device, backend, version and origin")
        self._rows = rows
        self._recorded = rows.rows_by_key(CASE, named=True, include_key=True)
        self._played: dict[tuple[object, ...], int] = {}
        self._clock_ns = clock_ns

    def available(self) -> Availability:
        """Yes where there is anything to play."""
        return Availability(True) if self._rows.height else Availability(False, "there are no recorded rows")

    def provenance(self) -> Provenance:
        """The recording's, with an origin that says that it is played back."""
        if not self.available():
            raise UnavailableError(self.available().reason)
        place = self._rows.select(PLACE).row(0, named=True)
        origin = f"replay:{place.pop('origin')}"
        host = origin.removeprefix("replay:").removeprefix("collector/")
        return Provenance(**place, origin=origin, host=host, driver=None, threads=None, foretell_version="")

    def measure(self, case: Case) -> Measurement:
        """The next recording of the case."""
        provenance = self.provenance()
        recorded = self._next(case)
        return Measurement(
            case=case,
            provenance=provenance,
            status=recorded["status"],
            reason=recorded["reason"],
            timing=_timing(recorded),
            energy=_energy(recorded),
            load_1m=recorded["load_1m"],
            started_ns=self._clock_ns(),
            measured_at=recorded["measured_at"],
        )

    def _next(self, case: Case) -> Mapping[str, Any]:
        key = case_key(case)
        takes = self._recorded.get(key)
        if not takes:
            return _unknown(f"not among the {self._rows.height} recorded rows")
        turn = self._played.get(key, 0)
        self._played[key] = turn + 1
        return takes[turn % len(takes)]


def _unknown(reason: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("latency_us", "energy_mj", "power_w", "power_limit_w", "load_1m", "measured_at"))
    return {**nothing, "status": "failed", "reason": reason, "energy_reason": reason}


def _timing(row: Mapping[str, Any]) -> Timing | None:
    if row["status"] != "ok":
        return None
    return Timing(row["latency_us"], row["latency_spread"], row["repeats"])


def _energy(row: Mapping[str, Any]) -> Energy:
    reason = row["energy_reason"] if row["energy_mj"] is None else None
    return Energy(row["energy_mj"], row["power_w"], row["power_limit_w"], reason)
