"""A collector of the machine at hand, with the machine described in the store."""

from pkgutil import resolve_name
from typing import Any

import polars as pl

from foretell.datasets.collectors import TORCH
from foretell.datasets.collectors.energy import Sensor
from foretell.datasets.collectors.kernels import DeviceType, TorchKernels
from foretell.datasets.device import device
from foretell.datasets.host import this_cpu
from foretell.datasets.store import Store
from foretell.errors import InputError, one_of


def collector_here(
    operator: str,
    store: Store,
    device_type: DeviceType,
    *,
    threads: int | None = None,
    sensor: Sensor | None = None,
) -> TorchKernels[Any]:
    """A collector whose rows name this machine's device row.

    Args:
        operator: what it measures.
        store: gets the row of this CPU, once: its measured bandwidth differs a little each time, and what
            was learnt belongs to one description.
        device_type: ``cpu`` or ``cuda``.
        threads: of a CPU kernel; all usable cores where null.
        sensor: of energy; what the device has where null.

    Raises:
        UnavailableError: torch or the device is missing, or this CPU cannot be described.
        InputError: an operator that no collector measures, or a CUDA device that nobody described.
    """
    if operator not in TORCH:
        raise InputError("operator", operator, one_of(TORCH))
    kind: type[TorchKernels[Any]] = resolve_name(TORCH[operator])
    if device_type == "cuda":
        kind("probe", device_type="cuda").provenance()  # says what is missing before torch's own error does
        import torch  # noqa: PLC0415  (two seconds)

        return kind(device(torch.cuda.get_device_name()).name, device_type="cuda", sensor=sensor)
    row = this_cpu()
    name = str(row["name"][0])
    if store.scan("device").filter(pl.col("name") == name).collect().is_empty():
        store.append("device", row)
    return kind(name, threads=threads, sensor=sensor)
