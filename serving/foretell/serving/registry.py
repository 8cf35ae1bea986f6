"""Look up registered models by target, light enough for a server to do every few seconds.

An SQLite registry is asked again only when its file changed: SQLite counts the changes of a database in
the header of its file. The last answer is kept beside the database for the next process.
"""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import msgspec

from foretell import errors
from foretell.errors import ArtefactError, NotRegisteredError, UnavailableError
from foretell.serving import lookup, messages
from foretell.serving.lookup import Answer, Model
from foretell.training.connection import database, home, tracking_uri

TIMEOUT_S: Final = 120.0
"""Longest look-up: creating MLflow's tables on a busy machine takes 10 s."""

MANIFEST: Final = "foretell.json"
"""File that makes a folder a saved predictor."""
REMEMBERED: Final = "champions.json"
CHANGE_COUNTER: Final = slice(24, 28)
"""Bytes of an SQLite file that change with every transaction (sqlite.org/fileformat2.html, 1.3.7)."""


class Registered(messages.Model, frozen=True):
    """A champion with its files at hand.

    Attributes:
        path: folder for `foretell.predictors.load`.
    """

    path: Path


class Remembered(msgspec.Struct, frozen=True):
    """The champions, and the state of the database in which they were."""

    state: str
    answer: Answer


def champion(target: str) -> Registered:
    """The version of a target that answers now.

    Raises:
        NotRegisteredError: the target has no champion; says which do and how to get one.
        ArtefactError: its files are not where the registry says they are.
        UnavailableError: MLflow cannot be reached.
    """
    model = _champion(target)
    return Registered(**model.told(), path=_artefact(model))


def champion_version(target: str) -> str:
    """Version of the champion, for polling: 50 µs while an SQLite registry stays as it is.

    A tracking server is asked each time, which takes 2 s of CPU in another process: poll it rarely.

    Raises:
        NotRegisteredError: the target has no champion.
        UnavailableError: MLflow cannot be reached.
    """
    return _champion(target).version


def targets() -> tuple[str, ...]:
    """Targets that have a champion, sorted."""
    return tuple(sorted(model.target for model in _champions()))


def models(target: str | None = None) -> tuple[Model, ...]:
    """Every registered version, newest first; of one target where it is given.

    Raises:
        NotRegisteredError: nothing is registered under `target`.
    """
    found = _ask("models", target or "").models
    if target is not None and not found:
        raise NotRegisteredError(f"nothing is registered for {target}; `foretell train {target}` does that")
    return found


def _champion(target: str) -> Model:
    for model in _champions():
        if model.target == target:
            return model
    raise NotRegisteredError(_missing(target))


def _missing(target: str) -> str:
    known = ", ".join(targets()) or "nothing yet"
    return f"no champion for {target}; there is one for: {known}; `foretell train {target}` makes one"


def _champions() -> tuple[Model, ...]:
    """All champions, from the last answer while the database is as it was then."""
    state = _state()
    if state is None:
        return _ask("champions").models
    return _champions_in(state).models


@lru_cache(maxsize=1)
def _champions_in(state: str) -> Answer:
    return _recall(state) or _remember(state, _ask("champions"))


def _state() -> str | None:
    """What tells one state of an SQLite database from another; none where it is a server."""
    uri = tracking_uri()
    file = database(uri)
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            counter = opened.read(CHANGE_COUNTER.stop)[CHANGE_COUNTER]
            status = os.fstat(opened.fileno())
    except FileNotFoundError:
        return f"{uri} does not exist"
    return f"{uri} {status.st_ino} {status.st_size} {status.st_mtime_ns} {counter.hex()}"


def _recall(state: str) -> Answer | None:
    """What another process found in the same state of the database."""
    try:
        content = (home(tracking_uri()) / REMEMBERED).read_bytes()
        remembered = msgspec.json.decode(content, type=Remembered)
    except (OSError, msgspec.DecodeError):
        return None
    return remembered.answer if remembered.state == state else None


def _remember(state: str, answer: Answer) -> Answer:
    """Keep an answer for the next process, where the folder can be written."""
    file = home(tracking_uri()) / REMEMBERED
    scratch = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    with suppress(OSError):
        scratch.write_bytes(msgspec.json.encode(Remembered(state, answer)))
        scratch.replace(file)
    return answer


def _ask(question: str, *arguments: str) -> Answer:
    """Ask MLflow: here where it is imported already, else in a process of its own."""
    file = database(tracking_uri())
    if file is not None and not file.exists():
        return Answer()
    if "mlflow" in sys.modules:
        answer = lookup.answer(question, *arguments)
    else:
        answer = _ask_elsewhere(question, *arguments)
    if answer.error:
        raise getattr(errors, answer.error)(answer.message)
    return answer


def _ask_elsewhere(*words: str) -> Answer:
    command = [sys.executable, "-P", "-m", lookup.__name__, *words]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=TIMEOUT_S)  # noqa: S603
        return msgspec.json.decode(done.stdout.splitlines()[-1], type=Answer)
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UnavailableError(f"looking up models failed: {reason}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"looking up models took longer than {TIMEOUT_S:.0f} s") from error


def _artefact(model: Model) -> Path:
    """Folder that the predictor saved, within the MLflow model."""
    folder = _local(model)
    found = sorted(folder.glob(f"data/*/{MANIFEST}"))
    if len(found) != 1:
        why = "holds no predictor of foretell" if folder.is_dir() else "is not there"
        raise ArtefactError(
            f"{model.target} version {model.version} is registered at {folder}, which {why}; MLflow keeps "
            f"absolute paths, so a moved mlruns must be moved back, or `foretell train {model.target}` again"
        )
    return found[0].parent


def _local(model: Model) -> Path:
    address = urlsplit(model.location)
    if address.scheme in ("", "file"):
        return Path(unquote(address.path))
    return Path(_ask("fetch", model.location, model.run_id).folder)
