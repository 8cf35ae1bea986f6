"""The files of a saved predictor: a JSON document that names all others and says what they hold."""

import hashlib
from pathlib import Path
from typing import Any, Final

import msgspec

from foretell.errors import ArtefactError
from foretell.predictors.base import Task
from foretell.predictors.head import SavedHead
from foretell.predictors.options import TableOptions
from foretell.predictors.unseen import SavedUnseen

FORMAT: Final = 1
DOCUMENT: Final = "foretell.json"


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``foretell.json``: everything of a saved predictor but the models themselves.

    Attributes:
        format: version of this document.
        task: what is predicted.
        options: how it was trained.
        features: names of the features that the models were trained on.
        encoder: state of the encoder.
        realms: what was measured, see `foretell.features.base.Place`.
        heads: name of the table to its calibrated model.
        files: name of each other file to the SHA-256 of its content.
        unseen: models of hardware that nobody measured; null where the heads answer for it.
    """

    format: int
    task: Task
    options: TableOptions
    features: tuple[str, ...]
    encoder: dict[str, Any]
    realms: tuple[str, ...]
    heads: dict[str, SavedHead]
    files: dict[str, str]
    unseen: SavedUnseen | None = None


def write_document(path: Path, document: Document) -> None:
    """Write the document into the folder `path`, with the digests of the files that lie there."""
    digests = {file.name: _digest(file) for file in sorted(path.iterdir())}
    content = msgspec.json.encode(msgspec.structs.replace(document, files=digests))
    (path / DOCUMENT).write_bytes(msgspec.json.format(content))


def read_document(path: Path) -> Document:
    """The document in the folder `path`, once all files are what it says.

    Raises:
        ArtefactError: names the file that is missing, damaged or of another format.
    """
    try:
        document = msgspec.json.decode((path / DOCUMENT).read_bytes(), type=Document)
        damaged = [name for name, digest in document.files.items() if _digest(path / name) != digest]
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} holds no whole predictor: {error}") from error
    if document.format != FORMAT:
        raise ArtefactError(f"{path / DOCUMENT}: format {document.format}, expected {FORMAT}")
    if damaged:
        raise ArtefactError(f"{path / damaged[0]} is damaged: its content is not what {DOCUMENT} says")
    return document


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
