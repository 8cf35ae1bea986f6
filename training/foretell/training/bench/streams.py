"""Recorded requests of one server as a stream: the state at each arrival, and when each had finished."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.errors import InputError
from foretell.features.arrivals import history_of
from foretell.features.base import Array
from foretell.features.request import state_of

SIMULATED: Final = "vidur_sim_state.parquet"
MEASURED: Final = "vllm_measured_state.parquet"
SIMULATED_COLUMNS: Final = (
    "run", "arrived_s", "n_running", "n_waiting", "kv_frac", "prefill_tokens_in_flight",
    "decode_context_tokens", "n_decoding", "input_tokens", "ttft_s", "tpot_s", "e2e_s",
)  # fmt: skip
MEASURED_COLUMNS: Final = (
    "hardware", "model", "t_s", "n_waiting", "n_running", "n_prefilling", "waiting_prompt_tokens",
    "prefilling_prompt_tokens", "decode_context_tokens", "input_tokens", "ttft_ms", "tpot_ms", "e2e_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """Requests of one server in order of arrival; all arrays of shape (rows,) but `state`.

    Attributes:
        name: of the run.
        state: shape (rows, columns), see `foretell.features.request`.
        arrived_s: when each arrived.
        seconds: outcome by target, ``ttft`` and ``tpot``.
        known_s: when the request had finished: nobody knows its outcome before.
    """

    name: str
    state: Array
    arrived_s: Array
    seconds: dict[str, Array]
    known_s: Array

    def rows(self, rows: npt.NDArray[np.intp]) -> "Stream":
        """Some of its rows."""
        seconds = {target: values[rows] for target, values in self.seconds.items()}
        return Stream(self.name, self.state[rows], self.arrived_s[rows], seconds, self.known_s[rows])

    def known_by(self, time_s: float) -> npt.NDArray[np.intp]:
        """Rows whose outcome is known by then, in the order in which it came to be."""
        known = np.flatnonzero(self.known_s < time_s)
        return known[np.argsort(self.known_s[known], kind="stable")]

    def __len__(self) -> int:
        return len(self.arrived_s)


def simulated(data: Path) -> dict[str, Stream]:
    """The runs of `SIMULATED` by name, in the order of the file.

    Raises:
        InputError: no such file, or a column that is missing.
    """
    rows = _read(data / SIMULATED, SIMULATED_COLUMNS)
    return {
        str(name): _simulated_run(str(name), run.sort("arrived_s", maintain_order=True))
        for (name,), run in rows.partition_by("run", as_dict=True, maintain_order=True).items()
    }


def measured(data: Path) -> dict[str, Stream]:
    """The servers of `MEASURED` by hardware and model.

    Raises:
        InputError: no such file, or a column that is missing.
    """
    rows = _read(data / MEASURED, MEASURED_COLUMNS)
    servers = rows.partition_by("hardware", "model", as_dict=True, maintain_order=True)
    return {
        f"{hardware} {model}": _measured_server(f"{hardware} {model}", run.sort("t_s", maintain_order=True))
        for (hardware, model), run in servers.items()
    }


def _read(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    try:
        rows = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise InputError(f"{path.name}: {missing[0]}", "no such column", f"the columns {', '.join(columns)}")
    return rows.select(columns)


def _simulated_run(name: str, run: pl.DataFrame) -> Stream:
    get = dict(_floats(run))
    arrived, ended = get["arrived_s"], get["arrived_s"] + get["e2e_s"]
    first = arrived + get["ttft_s"]
    prefill = get["prefill_tokens_in_flight"]
    history = history_of(arrived, get["input_tokens"], prefill, np.concatenate([first, ended]))
    state = state_of(
        {
            "input_tokens": get["input_tokens"],
            "waiting": get["n_waiting"],
            "running": get["n_running"],
            "decoding": get["n_decoding"],
            "kv_fraction": get["kv_frac"],
            "prefill_tokens": prefill,
            "decode_tokens": get["decode_context_tokens"],
            **history,
        }
    )
    return Stream(name, state, arrived, {"ttft": get["ttft_s"], "tpot": get["tpot_s"]}, ended)


def _measured_server(name: str, run: pl.DataFrame) -> Stream:
    get = dict(_floats(run))
    state = state_of(
        {
            "input_tokens": get["input_tokens"],
            "waiting": get["n_waiting"],
            "running": get["n_running"],
            "decoding": get["n_running"] - get["n_prefilling"],
            "prefill_tokens": get["waiting_prompt_tokens"] + get["prefilling_prompt_tokens"],
            "decode_tokens": get["decode_context_tokens"],
        }
    )
    seconds = {target: get[f"{target}_ms"] / 1e3 for target in ("ttft", "tpot")}
    return Stream(name, state, get["t_s"], seconds, get["t_s"] + get["e2e_ms"] / 1e3)


def _floats(run: pl.DataFrame) -> Iterator[tuple[str, Array]]:
    for column in run.iter_columns():
        if column.dtype.is_numeric():
            yield column.name, column.cast(pl.Float64).to_numpy()
