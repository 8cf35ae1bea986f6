"""The encoder of collectives: bytes on the wire and steps of a ring (Patarasuk and Yuan, JPDC 2009)."""

from typing import Any, ClassVar, Final

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.collective import CollectiveQuery
from foretell.datasets.operators.fields import Placed
from foretell.errors import InputError
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import MACHINE_NAMES, Machine, Operations, machine_features
from foretell.features.places import Traits

ROUNDS: Final = {"all_reduce": 2, "all_gather": 1, "reduce_scatter": 1, "all_to_all": 1}
"""How often a message goes around the ring, but for each GPU's own part of it."""
EXTENT: Final = 3
NAMES: Final = (
    "log_gpus", "log_message_bytes", "log_wire_bytes",
    "log_chunk_bytes", "log_floor_us", "steps", "log_steps", "log_elements", "log_message_over_cache",
    "log_memory_us", "rounds", "kind", "log_link", *MACHINE_NAMES, "a_bytes",
)  # fmt: skip


class CollectiveEncoder(KernelEncoder):
    """Rows of `kernel` with the operator collective."""

    query: ClassVar[type[Placed]] = CollectiveQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Bytes/s that a GPU sends at most, rounds of the ring, and the collective's number."""
        del dtype
        collective, _ = own
        link_gb_s = figures.interconnect_gb_s
        if link_gb_s is None:
            raise InputError("device", figures.name, "a device whose interconnect_gb_s is described")
        return link_gb_s / 2 * 1e9, float(ROUNDS[collective]), float(list(ROUNDS).index(collective))

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Time on the wire; what a GPU sends and what it receives are both held."""
        log2, gpus, message = ops.log2, query.gpus, query.message_bytes
        link, rounds, kind = traits
        wire, steps = wire_bytes(gpus, message, rounds), rounds * (gpus - 1)
        least_us = 1e6 * wire / link
        log_gpus, log_message = log2(gpus), log2(message)
        features = [
            log_gpus, log_message, log2(wire),
            log_message - log_gpus, log2(least_us), steps, log2(steps), log2(message / machine.a_bytes),
            log_message - machine.log_cache, log2(2e6 * message / machine.bandwidth),
            rounds, kind, log2(link), *machine_features(machine), machine.a_bytes,
        ]  # fmt: skip
        return features, least_us, 2.0 * message


def wire_bytes(gpus: Any, message_bytes: Any, rounds: Any) -> Any:
    """Bytes that each GPU sends: all parts of the message but one, in each round of the ring."""
    return rounds * (gpus - 1) / gpus * message_bytes
