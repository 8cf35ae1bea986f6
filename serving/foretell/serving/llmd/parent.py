"""Children that end when the process that started them does, however that ended."""

import os
import threading
import time
from typing import Final

LOOK_S: Final = 0.2


def end_with_parent() -> None:
    """From now on, look whether the parent is still there, and end at once if it is not."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os._exit(0)
