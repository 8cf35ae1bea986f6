"""Single fields of a ``config.json``, each refused by name where it does not fit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from foretell.errors import InputError, one_of

MAX_COUNT: Final = 2**24
"""Largest value taken for a size rather than a slip."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one file.

    Attributes:
        values: as they were read.
        names: what the file calls a field, where it is not the usual name.
    """

    values: Mapping[str, Any]
    names: Mapping[str, str]

    def name(self, field: str) -> str:
        """What the file calls it."""
        return self.names.get(field, field)

    def given(self, field: str) -> bool:
        """Whether the file says something about it; null says nothing."""
        return self.values.get(self.name(field)) is not None

    def count(self, field: str, default: int | None = None, least: int = 1) -> int:
        """A whole number.

        Raises:
            InputError: absent without a default, or anything but a number from `least` on.
        """
        value = self.values.get(self.name(field))
        if value is None and default is not None:
            return default
        # JSON's true is an int to Python, but no size.
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_COUNT:
            raise InputError(self.name(field), value, f"an integer from {least} to {MAX_COUNT}")
        return value

    def flag(self, field: str, *, default: bool) -> bool:
        """True or false.

        Raises:
            InputError: anything else.
        """
        value = self.values.get(self.name(field))
        if value is None:
            return default
        if not isinstance(value, bool):
            raise InputError(self.name(field), value, "true or false")
        return value

    def choice(self, field: str, among: Mapping[str, Any], default: str | None = None) -> str:
        """One of the keys of `among`.

        Raises:
            InputError: anything else.
        """
        value = self.values.get(self.name(field), default)
        if not isinstance(value, str) or value not in among:
            raise InputError(self.name(field), value, one_of(among))
        return value

    def members(self, field: str, kind: type) -> list[Any] | None:
        """A list of one type; null where it is absent.

        Raises:
            InputError: anything else.
        """
        value = self.values.get(self.name(field))
        if value is None:
            return None
        if not isinstance(value, list) or any(type(member) is not kind for member in value):
            raise InputError(self.name(field), value, f"a list of {kind.__name__}")
        return value
