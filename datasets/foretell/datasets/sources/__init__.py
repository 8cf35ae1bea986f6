"""Sources read measurements that others published into rows of a kind.

A name maps to ``"module:Class"`` (`pkgutil.resolve_name` reads it), so that a user of one source imports no
other. A new source is one module and one line here.
"""

from typing import Final

SOURCES: Final[dict[str, str]] = {
    "aiconfigurator": "foretell.datasets.sources.aiconfigurator:Aiconfigurator",
    "help": "foretell.datasets.sources.help:Help",
    "neusight": "foretell.datasets.sources.neusight:Neusight",
    "vidur": "foretell.datasets.sources.vidur:Vidur",
}
