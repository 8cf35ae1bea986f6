"""What a collector of kernels runs: one call of an operator, wherever it is."""

from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar, cast

import msgspec

from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import Placed, own_fields
from foretell.errors import InputError, one_of

Q = TypeVar("Q", bound=Placed)
ANYWHERE: Final = "anywhere"
"""Stands for the device in the query of a case, which its collector knows."""


class Size(NamedTuple):
    """What a call takes, about: enough to keep each within bounds.

    Attributes:
        operations: arithmetic.
        bytes_moved: bytes of its inputs and output.
    """

    operations: float
    bytes_moved: float


@dataclass(frozen=True, slots=True)
class KernelCase(Generic[Q]):
    """One call.

    Attributes:
        operator: its name.
        query: its shape and data type.
    """

    operator: str
    query: Q

    def columns(self) -> dict[str, object]:
        """Columns of a kernel row that say what was run."""
        shape = {name: getattr(self.query, name) for name in own_fields(type(self.query))}
        return {"operator": self.operator, **shape, "dtype": self.query.dtype}


def case_of(operator: str, **fields: object) -> KernelCase[Any]:
    """A case from the fields of its operator and the data type.

    Raises:
        InputError: an operator that does not exist, or fields that cannot be.
    """
    if operator not in OPERATORS:
        raise InputError("operator", operator, one_of(OPERATORS))
    try:
        query = msgspec.convert(fields | {"device": ANYWHERE}, OPERATORS[operator])
    except msgspec.ValidationError as error:
        raise InputError(operator, fields, f"fields that can be ({error})") from None
    return KernelCase(operator, cast("Any", query))
