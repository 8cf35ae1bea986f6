"""Benchmark protocols, each a module whose `run` takes a folder of files and gives a `Report`."""

from typing import Final

PROTOCOLS: Final = {
    "gemm-holdout": "foretell.training.bench.gemm_holdout:run",
}
