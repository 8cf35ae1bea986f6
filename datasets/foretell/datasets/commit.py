"""Make a folder of files appear whole, by one rename, or not at all."""

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from foretell.errors import UnavailableError

STALE_AFTER_S: Final = 24 * 3600.0
"""Age at which a staged folder is litter: no write takes a day, so its writer is gone."""


def commit(files: Mapping[str, bytes], destination: Path, staging: Path) -> None:
    """Write `files` as the new folder `destination`, which other processes see whole or not at all.

    The files are flushed to disk before the rename and the rename before this returns, so that what
    is acknowledged outlives the process and the machine's power.

    Args:
        files: name to content.
        destination: a folder that does not exist.
        staging: folder on the same file system where unfinished work lies.

    Raises:
        UnavailableError: names the path and the reason, such as a full disk; nothing became visible.
        FileExistsError: `destination` exists already.
    """
    with _told(destination):
        _make(staging)
        _make(destination.parent)
        _sweep(staging)
        with _scratch(staging) as folder:
            for name, content in files.items():
                _write(folder / name, content)
            _sync(folder)
            _rename(folder, destination)
        _sync(destination.parent)


@contextmanager
def _told(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError) and error.filename == str(destination):
            raise
        path = error.filename or destination
        raise UnavailableError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def _scratch(staging: Path) -> Iterator[Path]:
    folder = staging / f"{os.getpid()}-{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        # A write that fails half-way, unlike an open, does not say in which file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def _rename(folder: Path, destination: Path) -> None:
    try:
        folder.rename(destination)
    except OSError as error:
        # POSIX leaves it open whether a full destination is EEXIST or ENOTEMPTY.
        if destination.exists():
            raise FileExistsError(error.errno, error.strerror, str(destination)) from error
        raise


def _make(folder: Path) -> None:
    """Create `folder` with its parents, each flushed to disk."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Flush a folder's entries; without it a rename may be lost with the power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(staging: Path) -> None:
    """Remove what writers that were killed left behind, when it is old enough to be certainly theirs."""
    for entry in os.scandir(staging):
        # Another writer's folder may be renamed at any moment.
        with suppress(FileNotFoundError):
            if time.time() - entry.stat().st_mtime > STALE_AFTER_S:
                shutil.rmtree(entry.path, ignore_errors=True)
