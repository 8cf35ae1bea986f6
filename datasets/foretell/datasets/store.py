"""The store: validated rows by kind, in append-only batches of Parquet.

A batch is a folder that appears whole, by one rename, or not at all, and never changes::

    <root>/kernel/<digest>-<random>/rows.parquet       what obeys the schema
                                    rejected.parquet   what does not, with the rule and the time
    <root>/versions/kernel/<version>/manifest.json     the batches of one recorded version
    <root>/staging/                                    batches being written; never read
"""

import hashlib
import io
import os
import pkgutil
import secrets
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, Literal, cast

import dataframely as dy
import msgspec
import polars as pl

from foretell.datasets.commit import commit
from foretell.datasets.root import default_root
from foretell.datasets.validate import validate
from foretell.errors import ArtefactError, InputError, one_of

KINDS: Final = {
    "device": "foretell.datasets.device:Device",
    "kernel": "foretell.datasets.kernel:Kernel",
    "network": "foretell.datasets.network:NetworkRow",
    "request": "foretell.datasets.request:Request",
}
"""Kinds of rows: name to ``module:Schema``. The module also says the `VERSION` of its schema."""

ROWS: Final = "rows.parquet"
REJECTED: Final = "rejected.parquet"
MANIFEST: Final = "manifest.json"
NO_ROWS: Final = "none"
"""Stands for the digest in the name of a batch that holds rejected rows only."""
KIND_KEY: Final = "foretell.kind"
VERSION_KEY: Final = "foretell.schema_version"


@dataclass(frozen=True, slots=True)
class AppendResult:
    """What became of one append.

    Attributes:
        accepted: rows that obey the schema.
        rejected: rows kept aside with the rule that they broke.
        batch: name of the batch.
        version: version of the kind with this batch in it.
    """

    accepted: int
    rejected: int
    batch: str
    version: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The batches that make up one version of a kind."""

    kind: str
    batches: tuple[str, ...]


class Store:
    """Rows under one folder. Any number of processes may append and scan at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()).absolute()
        self._intact: set[Path] = set()

    def append(
        self, kind: str, rows: pl.DataFrame, rejected: pl.DataFrame | None = None, *, once: bool = False
    ) -> AppendResult:
        """Validate `rows` and keep them as one batch, which is on disk once this returns.

        Args:
            kind: name in `KINDS`.
            rows: columns of the kind; nullable ones may be absent.
            rejected: rows that the caller refused already, in any columns, with the reason in the
                text column ``rule``.
            once: keep nothing where a batch of just these rows is there already, as for a published table
                that is read again; measurements that come out equal are two all the same.

        Raises:
            InputError: no rows, or columns that do not fit the kind; nothing was kept.
            UnavailableError: the folder cannot be written; nothing was kept.
        """
        valid, broken = validate(rows, _schema(kind))
        if rejected is not None:
            broken = pl.concat([broken, _with_rule(rejected)], how="diagonal_relaxed")
        if valid.is_empty() and broken.is_empty():
            raise InputError("rows", 0, "at least one row")
        files = {ROWS: _parquet(kind, valid)} if not valid.is_empty() else {}
        known = self._same(kind, files) if once else None
        if known is not None:
            return AppendResult(0, 0, known, self.version(kind))
        if not broken.is_empty():
            files[REJECTED] = _parquet(kind, _stamped(broken))
        return AppendResult(valid.height, broken.height, self._commit(kind, files), self.version(kind))

    def scan(self, kind: str, version: str | None = None) -> pl.LazyFrame:
        """The rows of a kind, now or as of a recorded `version`, in an order that the version fixes.

        Raises:
            InputError: `version` was never recorded.
            ArtefactError: a batch is missing, damaged or of another schema version; names the file.
        """
        empty = _schema(kind).create_empty()
        batches = self._batches(kind) if version is None else self._recorded(kind, version)
        files = [self.root / kind / batch / ROWS for batch in batches]
        for path in files:
            self._check(kind, path)
        return _scan(files, empty.schema) if files else empty.lazy()

    def rejected(self, kind: str) -> pl.LazyFrame:
        """Rejected rows of a kind: their columns, `rule` (names joined by commas) and `rejected_at`."""
        empty = _stamped(_schema(kind).create_empty().with_columns(rule=pl.lit("")))
        files = sorted((self.root / kind).glob(f"*/{REJECTED}"))
        for path in files:
            _check_version(kind, path)
        return pl.concat([empty.lazy(), *(_scan([path]) for path in files)], how="diagonal_relaxed")

    def version(self, kind: str) -> str:
        """Id of what `scan` gives now: the same rows in the same batches have the same id anywhere."""
        _schema(kind)
        return _version(self._batches(kind))

    def record(self, kind: str) -> str:
        """Keep the list of today's batches, so that ``scan(kind, version)`` gives them again later."""
        _schema(kind)
        batches = self._batches(kind)
        version = _version(batches)
        folder = self.root / "versions" / kind / version
        # Another process may record the same version first, with the same content.
        with suppress(FileExistsError):
            if not folder.exists():
                manifest = msgspec.json.encode(Manifest(kind, tuple(batches)))
                commit({MANIFEST: manifest}, folder, self.root / "staging")
        return version

    def _same(self, kind: str, files: dict[str, bytes]) -> str | None:
        """A batch with the same rows, if there is one."""
        digest = _batch_digest(files)
        return next((name for name in self._batches(kind) if name.startswith(f"{digest}-")), None)

    def _commit(self, kind: str, files: dict[str, bytes]) -> str:
        # The random part keeps two equal batches apart: both were measured, both count.
        batch = f"{_batch_digest(files)}-{secrets.token_hex(8)}"
        commit(files, self.root / kind / batch, self.root / "staging")
        return batch

    def _batches(self, kind: str) -> list[str]:
        """Names of the batches with rows, sorted."""
        folder = self.root / kind
        names = os.listdir(folder) if folder.is_dir() else []
        return sorted(name for name in names if not name.startswith((NO_ROWS, ".")))

    def _recorded(self, kind: str, version: str) -> tuple[str, ...]:
        folder = self.root / "versions" / kind
        known = os.listdir(folder) if folder.is_dir() else []
        if version not in known:
            raise InputError("version", version, f"a recorded version of {kind}: {one_of(known)}")
        path = folder / version / MANIFEST
        try:
            return msgspec.json.decode(path.read_bytes(), type=Manifest).batches
        except (OSError, msgspec.DecodeError) as error:
            raise ArtefactError(f"{path} is not a list of batches: {error}") from error

    def _check(self, kind: str, path: Path) -> None:
        """Refuse a damaged batch, reading it once: batches never change."""
        if path in self._intact:
            return
        try:
            with path.open("rb") as file:
                digest = _digest(file)
        except OSError as error:
            raise ArtefactError(f"{path} cannot be read: {error.strerror}") from error
        if not path.parent.name.startswith(f"{digest}-"):
            raise ArtefactError(f"{path} is damaged: its content is not what its name says")
        _check_version(kind, path)
        self._intact.add(path)


def _schema(kind: str) -> type[dy.Schema]:
    if kind not in KINDS:
        raise InputError("kind", kind, one_of(KINDS))
    return cast("type[dy.Schema]", pkgutil.resolve_name(KINDS[kind]))


def _schema_version(kind: str) -> str:
    return str(sys.modules[_schema(kind).__module__].VERSION)


def _with_rule(rejected: pl.DataFrame) -> pl.DataFrame:
    if rejected.schema.get("rule") != pl.String or rejected["rule"].null_count():
        raise InputError(
            "rejected.rule", rejected.schema.get("rule"), "a text column that says why, in every row"
        )
    return rejected


def _stamped(rejected: pl.DataFrame) -> pl.DataFrame:
    return rejected.with_columns(rejected_at=pl.lit(datetime.now(UTC), dtype=pl.Datetime("us", "UTC")))


def _parquet(kind: str, frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, metadata={KIND_KEY: kind, VERSION_KEY: _schema_version(kind)})
    return buffer.getvalue()


def _scan(files: list[Path], schema: pl.Schema | None = None) -> pl.LazyFrame:
    # The root is taken as it is written: neither `*` nor `key=value` in it means anything. Columns that a
    # schema gained since a batch was written are null in it.
    missing: Literal["insert", "raise"] = "insert" if schema else "raise"
    return pl.scan_parquet(files, schema=schema, missing_columns=missing, glob=False, hive_partitioning=False)


def _check_version(kind: str, path: Path) -> None:
    try:
        metadata = pl.read_parquet_metadata(path)
    except (OSError, pl.exceptions.ComputeError) as error:
        raise ArtefactError(f"{path} is not whole: {error}") from error
    found = metadata.get(KIND_KEY), metadata.get(VERSION_KEY)
    if found != (kind, _schema_version(kind)):
        expected = f"{kind} rows of schema version {_schema_version(kind)}"
        raise ArtefactError(f"{path} holds {found[0]} rows of schema version {found[1]}, expected {expected}")


def _batch_digest(files: dict[str, bytes]) -> str:
    return _digest(io.BytesIO(files[ROWS])) if ROWS in files else NO_ROWS


def _digest(file: IO[bytes]) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()[:32]  # type: ignore[arg-type]


def _version(batches: Iterable[str]) -> str:
    digests = "\n".join(sorted(batch.partition("-")[0] for batch in batches))
    return hashlib.sha256(digests.encode()).hexdigest()[:16]
