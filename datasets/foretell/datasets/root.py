"""Where rows are kept."""

import os
from pathlib import Path


def default_root() -> Path:
    """``FORETELL_STORE``, else ``mlruns/store`` under the current folder."""
    return Path(os.environ.get("FORETELL_STORE") or "mlruns/store").absolute()
