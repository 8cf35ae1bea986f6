"""The GEMM collector of the machine at hand, with the machine described in the store."""

import polars as pl

from foretell.datasets.collectors.energy import Sensor
from foretell.datasets.collectors.gemm import DeviceType, TorchGemm
from foretell.datasets.device import device
from foretell.datasets.host import this_cpu
from foretell.datasets.store import Store


def gemm_here(
    store: Store, device_type: DeviceType, *, threads: int | None = None, sensor: Sensor | None = None
) -> TorchGemm:
    """A collector whose rows name this machine's device row.

    Args:
        store: gets the row of this CPU, once: its measured bandwidth differs a little each time, and what
            was learnt belongs to one description.
        device_type: ``cpu`` or ``cuda``.
        threads: of a CPU product; all usable cores where null.
        sensor: of energy; what the device has where null.

    Raises:
        UnavailableError: torch or the device is missing, or this CPU cannot be described.
        InputError: a CUDA device that nobody described; the message says how.
    """
    if device_type == "cuda":
        probe = TorchGemm("probe", device_type="cuda")
        probe.provenance()  # says what is missing before torch's own error does
        import torch  # noqa: PLC0415  (two seconds)

        return TorchGemm(device(torch.cuda.get_device_name()).name, device_type="cuda", sensor=sensor)
    row = this_cpu()
    name = str(row["name"][0])
    if store.scan("device").filter(pl.col("name") == name).collect().is_empty():
        store.append("device", row)
    return TorchGemm(name, threads=threads, sensor=sensor)
