"""foretell: how long it will take, before it runs, with an honest interval."""

from pkgutil import extend_path
from typing import TYPE_CHECKING

__path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from foretell.serving.api import Foretell as Foretell

__all__ = ["Foretell"]


def __getattr__(name: str) -> object:
    """Public names on first use, so that every sub-module starts without the weight of the others."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from foretell.serving import api  # noqa: PLC0415

    return getattr(api, name)
