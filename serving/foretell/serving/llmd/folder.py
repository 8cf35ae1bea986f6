"""The folder of a server's state: journal, models, and when it was last told to forget."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from foretell.errors import UnavailableError
from foretell.training.online import Published

FLUSHED: Final = "flushed"
_published: Final = msgspec.json.Decoder(Published)


class StateFolder:
    """Paths and files below one folder.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = root / "journal"
        self._models = root / "models"

    def publish(self, published: Published) -> bytes:
        """Write a model for other processes and for the next start; they see it whole or not at all."""
        content = msgspec.json.encode(published)
        _replace(self._models / f"{published.target}@{published.pool}.json", content)
        return content

    def changed(self, seen: dict[str, int]) -> Iterator[Published]:
        """Models that are new since the last call, which `seen` remembers; damaged ones are passed over."""
        for path in sorted(self._models.glob("*.json")):
            try:
                stamp = path.stat().st_mtime_ns
                if seen.get(path.name) == stamp:
                    continue
                seen[path.name] = stamp
                yield _published.decode(path.read_bytes())
            except (OSError, msgspec.DecodeError):
                continue

    def flush(self) -> None:
        """Remember that samples until now are to be forgotten."""
        _replace(self.root / FLUSHED, str(time.time()).encode())

    def flushed_at_s(self) -> float:
        """When that was; 0 for never."""
        try:
            return float((self.root / FLUSHED).read_text())
        except (OSError, ValueError):
            return 0.0

    @contextmanager
    def alone(self, name: str, *, wait: bool) -> Iterator[None]:
        """Hold a lock of that name for as long as the block runs, or the process lives.

        Raises:
            UnavailableError: another process holds it, and `wait` is not set.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.root / f"{name}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise UnavailableError(f"another server uses {self.root}: stop it, or give --state") from None
        try:
            yield
        finally:
            os.close(handle)


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
