"""The predictor of `network.latency` on one device: a prior from other devices and a few measurements."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import numpy as np
import polars as pl

from foretell.datasets.network import NetworkQuery
from foretell.datasets.spaces import SPACES
from foretell.datasets.spaces.base import Choices, space
from foretell.errors import ArtefactError, InputError
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.base import LEVELS, Prediction, Task
from foretell.predictors.device_prior import Prior
from foretell.predictors.families import NETWORK as ARRAYS
from foretell.predictors.few_shot import Adapted, Posterior, adapt

DOCUMENT: Final = "foretell.json"
"""As for tables: the registry finds a saved predictor by it."""
FORMAT: Final = 1
PREFIX: Final = "network.latency"
CONTRADICTION: Final = 1.5
"""Repeats further apart than this factor are no two readings of one thing."""


class SavedView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers of one `Posterior`."""

    view: str
    chance: float
    noise: float


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``foretell.json``: everything of a saved device but its arrays.

    Attributes:
        format: version of this document.
        task: what is predicted.
        space: name of the search space.
        scale_ms: mean latency of the measurements.
        basis_scale: see `Basis.scale`.
        views: of the space.
        digest: SHA-256 of the arrays.
    """

    format: int
    task: Task
    space: str
    scale_ms: float
    basis_scale: float
    views: tuple[SavedView, ...]
    digest: str


def task_of(space_name: str, device: str) -> Task:
    """The task of one device: its target is ``network.latency.<space>.<device>``."""
    return Task(f"{PREFIX}.{space_name}.{device}", "ms", "latency_ms", "network")


class NetworkPredictor:
    """Latency of the architectures of one space on one device.

    Args:
        task: see `task_of`.
        prior: what other devices say; null in one that was loaded.
        adapted: the device once it was measured.
    """

    query = NetworkQuery

    def __init__(self, task: Task, prior: Prior | None = None, adapted: Adapted | None = None) -> None:
        self.task = task
        self.prior = prior
        self.adapted = adapted

    def fit(self, rows: pl.DataFrame, *, seed: int = 0) -> Self:
        """Adapt to measurements in the columns ``architecture`` and ``latency_ms``; nothing is drawn.

        Raises:
            InputError: architectures that do not exist, contradicting repeats, too few or impossible values.
        """
        del seed
        if self.prior is None:
            raise InputError("prior", None, "sources: a predictor that was loaded is not adapted again")
        choices, latency_ms = measurements(rows, self.prior.basis.name)
        return type(self)(self.task, self.prior, adapt(self.prior, choices, latency_ms))

    def predict(self, rows: pl.DataFrame, levels: Sequence[float] = LEVELS) -> Prediction:
        """Quantiles for a frame with the one column ``architecture``."""
        if rows.columns != ["architecture"] or rows.schema["architecture"] != pl.String:
            raise InputError("columns", rows.columns, "the text column architecture, and no other")
        return self._predicted(rows["architecture"].to_list(), levels)

    def answer(self, queries: Sequence[Any], levels: Sequence[float] = LEVELS) -> Prediction:
        """`predict` for validated query structs."""
        return self._predicted([query.architecture for query in queries], levels)

    def _predicted(self, texts: Sequence[str], levels: Sequence[float]) -> Prediction:
        if self.adapted is None:
            raise InputError("measurements", None, "a device that was adapted to")
        choices = parsed(texts, self.adapted.basis.name)
        values = self.adapted.quantiles_ms(choices, levels)
        return Prediction(
            self.task.target, self.task.unit, tuple(levels), values, np.zeros(len(texts), dtype=bool)
        )

    def save(self, path: Path) -> None:
        """Write the device into the new folder `path`."""
        if self.adapted is None:
            raise InputError("measurements", None, "a device that was adapted to")
        path.mkdir(parents=True)
        basis = self.adapted.basis
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **_arrays(self.adapted))
        views = tuple(SavedView(one.view, one.chance, one.noise) for one in self.adapted.posteriors)
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        document = Document(FORMAT, self.task, basis.name, self.adapted.scale_ms, basis.scale, views, digest)
        (path / ARRAYS).write_bytes(buffer.getvalue())
        (path / DOCUMENT).write_bytes(msgspec.json.format(msgspec.json.encode(document)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote; runs no code from there.

        Raises:
            ArtefactError: files that are missing or damaged, or of another format.
        """
        try:
            document = msgspec.json.decode((path / DOCUMENT).read_bytes(), type=Document)
            content = (path / ARRAYS).read_bytes()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArtefactError(f"{path} holds no whole predictor: {error}") from error
        if document.format != FORMAT or document.space not in SPACES:
            raise ArtefactError(f"{path / DOCUMENT}: format {document.format} of space {document.space}")
        if hashlib.sha256(content).hexdigest() != document.digest:
            raise ArtefactError(f"{path / ARRAYS} is damaged: its content is not what {DOCUMENT} says")
        return cls(document.task, adapted=_adapted(document, content))


def parsed(texts: Sequence[str], name: str) -> Choices:
    """Architectures of a space from how they are written.

    Raises:
        InputError: names the row of one that does not exist.
    """
    rows = []
    for number, text in enumerate(texts):
        try:
            rows.append(space(name).parse(text))
        except InputError as error:
            raise InputError(f"rows[{number}].architecture", text, error.expected) from error
    return np.array(rows, dtype=np.int64)


def measurements(rows: pl.DataFrame, name: str) -> tuple[Choices, Array]:
    """Architectures and latencies in ms; the geometric mean of repeats that agree.

    Raises:
        InputError: other columns, an architecture that does not exist, a latency that is not positive, or
            repeats that contradict each other.
    """
    if set(rows.columns) != {"architecture", "latency_ms"}:
        raise InputError("columns", rows.columns, "architecture and latency_ms")
    if not rows.schema["latency_ms"].is_numeric() or rows.schema["architecture"] != pl.String:
        raise InputError("columns", dict(rows.schema), "texts and numbers")
    latency_ms = rows["latency_ms"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    wrong = ~(np.isfinite(latency_ms) & (latency_ms > 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(f"rows[{row}].latency_ms", float(latency_ms[row]), "a positive finite number of ms")
    parsed(rows["architecture"].to_list(), name)
    value = pl.col("latency_ms").cast(pl.Float64)
    means = rows.group_by("architecture", maintain_order=True).agg(
        value.log().mean().exp().alias("mean"), (value.max() / value.min()).alias("apart")
    )
    torn = means.filter(pl.col("apart") > CONTRADICTION)
    if torn.height:
        expected = f"repeats within a factor of {CONTRADICTION}, not {torn['apart'][0]:.3g}"
        raise InputError("architecture", torn["architecture"][0], expected)
    return parsed(means["architecture"].to_list(), name), means["mean"].to_numpy()


def _arrays(adapted: Adapted) -> dict[str, Array]:
    basis = adapted.basis
    found = {
        "virtual_mean": basis.virtual_mean,
        "virtual_directions": basis.directions,
        "center": basis.center,
    }
    for number, one in enumerate(adapted.posteriors):
        found |= {f"weights{number}": one.weights, f"covariance{number}": one.covariance}
    return found


def _adapted(document: Document, content: bytes) -> Adapted:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        basis = Basis(
            document.space,
            arrays["virtual_mean"],
            arrays["virtual_directions"],
            arrays["center"],
            document.basis_scale,
        )
        posteriors = tuple(
            Posterior(
                one.view, one.chance, arrays[f"weights{number}"], arrays[f"covariance{number}"], one.noise
            )
            for number, one in enumerate(document.views)
        )
    return Adapted(basis, posteriors, document.scale_ms)
