"""A further process that predicts; it ends when the one that started it does."""

import os
import sys
import threading
import time
from typing import Final

import msgspec
from msgspec.structs import replace

from foretell.serving.llmd.options import Options
from foretell.serving.llmd.server import serve

LOOK_S: Final = 1.0


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(0)


def main() -> None:
    """Serve with the options of the only argument; the token comes as FORETELL_TOKEN."""
    options = msgspec.json.decode(sys.argv[1], type=Options)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    serve(replace(options, token=os.environ.get("FORETELL_TOKEN", "")))


if __name__ == "__main__":
    main()
