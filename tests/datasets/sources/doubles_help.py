"""A double of HELP's table of FBNet: three networks on two devices."""

import numpy as np
import polars as pl

from foretell.datasets.spaces.fbnet import COLUMNS, FBNET


def help_one_file(folder):
    """One device measured all networks, the other two of them."""
    folder.mkdir(parents=True, exist_ok=True)
    choices = FBNET.random(3, np.random.default_rng(0)).astype(np.int8)
    frame = pl.DataFrame(choices, schema=list(COLUMNS)).with_row_index("arch_idx")
    frame.with_columns(chip=pl.Series([1.0, 2.0, 3.0]), phone=pl.Series([4.0, None, 6.0])).write_parquet(
        folder / "fbnet_latency_ms.parquet"
    )
    return folder
