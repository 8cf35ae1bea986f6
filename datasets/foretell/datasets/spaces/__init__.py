"""Search spaces: how an architecture is written down, and which operators it is made of."""

from typing import Final

SPACES: Final = {
    "nb201": "foretell.datasets.spaces.nb201:NB201",
    "fbnet": "foretell.datasets.spaces.fbnet:FBNET",
    "ofa": "foretell.datasets.spaces.ofa:OFA",
}
