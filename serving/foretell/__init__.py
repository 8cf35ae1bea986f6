"""foretell: how long it will take, before it runs, with an honest interval."""

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

__path__ = extend_path(__path__, __name__)

if TYPE_CHECKING:
    from foretell.datasets.network_from import network_from as network_from
    from foretell.serving.api import Foretell as Foretell
    from foretell.serving.forward import Forward as Forward

__all__ = ["Foretell", "Forward", "network_from"]
_MODULES = {
    "Foretell": "foretell.serving.api",
    "Forward": "foretell.serving.forward",
    "network_from": "foretell.datasets.network_from",
}


def __getattr__(name: str) -> object:
    """Public names on first use, so that every sub-module starts without the weight of the others."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
