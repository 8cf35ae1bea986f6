"""Collective communication between the GPUs of one machine."""

from typing import Annotated, ClassVar, Final, Literal

import msgspec

from foretell.datasets.operators.fields import Placed

MAX_GPUS: Final = 2**16
MAX_MESSAGE_BYTES: Final = 2**44

Collective = Literal["all_reduce", "all_gather", "reduce_scatter", "all_to_all"]
Gpus = Annotated[int, msgspec.Meta(ge=2, le=MAX_GPUS)]
MessageBytes = Annotated[int, msgspec.Meta(ge=1, le=MAX_MESSAGE_BYTES)]


class CollectiveQuery(Placed, frozen=True):
    """`message_bytes` between `gpus` GPUs.

    A message is what each GPU holds in full: before a reduction or an exchange, after a gathering.
    """

    table: ClassVar[tuple[str, ...]] = ("collective", "gpus")
    site: ClassVar[tuple[str, ...]] = ("gpus",)

    collective: Collective
    gpus: Gpus
    message_bytes: MessageBytes
