"""Where kernels run: devices by any of their names, and their figures for a data type."""

from collections.abc import Callable, Iterable
from math import log2
from typing import Any, Final, TypeAlias

from foretell.datasets.device import DeviceFigures, device, slug
from foretell.datasets.dtypes import DTYPES
from foretell.errors import InputError
from foretell.features.base import UNKNOWN_TABLE, Place
from foretell.features.physics import Machine

REMEMBERED: Final = 1_000
"""Places kept by name; a stream of made-up backends must not fill the memory."""
Key: TypeAlias = tuple[Any, ...]
"""Device, data type, values of the operator's own table columns, backend and its version."""
Traits: TypeAlias = tuple[float, ...]
"""What the operator's own table columns come to, in numbers."""


class Places:
    """The places of one operator's kernels.

    Args:
        traits: gives the `Traits` of a device, data type and values of the operator's own table columns.
        described: figures of devices that the published table lacks, such as the machine at hand.
    """

    def __init__(self, traits: Callable[..., Traits], described: Iterable[DeviceFigures] = ()) -> None:
        self._traits = traits
        self._devices: dict[str, DeviceFigures] = {}
        self._sites: dict[str, tuple[Machine, Traits]] = {}
        self._places: dict[Key, Place] = {}
        for figures in described:
            self.keep(figures)

    def keep(self, figures: DeviceFigures) -> None:
        """Know a device by all of its names from now on."""
        for name in (figures.name, *filter(None, (figures.aliases or "").split(";"))):
            self._devices[name] = figures

    def figures(self, name: str) -> DeviceFigures:
        """Figures of a device.

        Raises:
            InputError: nobody described it.
        """
        return self._devices.get(name) or self._devices.get(slug(name)) or device(name)

    def find(self, key: Key) -> Place:
        """The place of that key.

        Raises:
            InputError: a device that is not described, or half a backend.
        """
        known = self._places.get(key)
        if known is None:
            if len(self._places) >= REMEMBERED:
                self._places.clear()
            known = self._places[key] = self._new(*key)
        return known

    def site(self, place: Place) -> tuple[Machine, Traits]:
        """What the physics takes of a place that was found."""
        return self._sites[place.realm]

    def known(self) -> list[DeviceFigures]:
        """The devices that were kept."""
        return list(dict.fromkeys(self._devices.values()))

    def _new(self, name: str, dtype: str, *rest: Any) -> Place:
        *own, backend, version = rest
        if (backend is None) != (version is None):
            missing = "backend" if backend is None else "backend_version"
            raise InputError(missing, None, "backend and backend_version together, or neither")
        figures = self.figures(name)
        # A frame holds whole numbers as floats.
        said = [str(int(value)) if isinstance(value, float) else str(value) for value in own]
        realm = "/".join((figures.name, dtype, *said))
        self._sites[realm] = machine(figures, dtype), self._traits(figures, dtype, *own)
        table = UNKNOWN_TABLE if backend is None else f"{realm}/{backend}/{version}"
        return Place(table, realm, kin(figures))


def kin(figures: DeviceFigures) -> str:
    """The architecture of a device; one without is alone of its kind."""
    return figures.family or figures.name


def machine(figures: DeviceFigures, dtype: str) -> Machine:
    """Figures of a device for one data type.

    Raises:
        InputError: a data type that the device has no rate for.
    """
    moved, flops, bandwidth = DTYPES[dtype], figures.peak_flops(dtype), figures.memory_bandwidth_gb_s * 1e9
    return Machine(
        flops=flops,
        bandwidth=bandwidth,
        cores=float(figures.cores),
        memory_bytes=figures.memory_gb * 1e9,
        a_bytes=moved.a_bytes,
        b_bytes=moved.b_bytes,
        c_bytes=moved.c_bytes,
        log_peak=log2(flops),
        log_bandwidth=log2(bandwidth),
        log_cores=log2(figures.cores),
        log_cache=log2(figures.last_level_cache_mb * 1e6),
        log_clock=log2(figures.clock_mhz * 1e6),
    )
