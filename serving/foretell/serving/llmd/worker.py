"""A further process that predicts; it ends when the one that started it does."""

import os
import sys

import msgspec
from msgspec.structs import replace

from foretell.serving.llmd.options import Options
from foretell.serving.llmd.parent import end_with_parent
from foretell.serving.llmd.server import serve


def main() -> None:
    """Serve with the options of the only argument; the token comes as FORETELL_TOKEN."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    end_with_parent()
    serve(replace(options, token=os.environ.get("FORETELL_TOKEN", "")))


if __name__ == "__main__":
    main()
