"""The few errors that foretell raises, as a tree; the command line and REST map it in one table each."""

from collections.abc import Iterable


class ForetellError(Exception):
    """Everything that foretell raises on purpose."""


class InputError(ForetellError):
    """Input that does not fit: names the field, the value found and what was expected.

    Attributes:
        field: path of the offending field, such as ``rows[3].m``.
        value: what stood there, shortened for display.
        expected: what would have been accepted.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        shown = repr(value)
        self.field = field
        self.value = shown if len(shown) <= 200 else shown[:197] + "..."
        self.expected = expected
        super().__init__(f"{field}: got {self.value}, expected {expected}")


class NotRegisteredError(ForetellError):
    """A model, target or version that the registry does not hold."""


class UnavailableError(ForetellError):
    """Something cannot run here: a collector without its hardware, a source without its package."""


class ArtefactError(ForetellError):
    """A saved model or stored batch that cannot be read, or does not match what it claims to be."""


def one_of(names: Iterable[str]) -> str:
    """Words for an `InputError` whose expectation is a closed list."""
    return "one of " + ", ".join(sorted(names))
