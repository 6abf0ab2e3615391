"""Files of fitted models: all that a process without the database needs of them."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from santral.errors import StoreError
from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding.fitted.artefact import digest_of, unusable
from santral.retrieval.embedding.fitted.model import FittedModel, opened


def fitted_folder(data_folder: Path) -> Path:
    """Return the folder of the files."""
    return data_folder / "models" / "fitted"


def read_fit(data_folder: Path, digest: str, languages: Collection[Language] = ()) -> FittedModel:
    """Return a fitted model from its file; ``languages`` are those of the collection.

    Raises:
        StoreError: the file is missing or damaged.
    """
    try:
        artefact = (fitted_folder(data_folder) / digest).read_bytes()
    except FileNotFoundError:
        raise unusable(digest, "this machine has no file of it yet") from None
    except OSError as error:
        raise unusable(digest, error.strerror or str(error)) from None
    return opened(artefact, digest, languages)


def is_whole(path: Path, digest: str) -> bool:
    """Whether the file is there and is what its name says."""
    try:
        return digest_of(path.read_bytes()) == digest
    except OSError:
        return False


def write_fit(folder: Path, digest: str, artefact: bytes) -> None:
    """Write a file, whole or not at all; raises StoreError."""
    draft = folder / f".{digest}-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(artefact)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / digest)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StoreError(
            f"The fitted model cannot be written to {folder}: {error.strerror or error}."
        ) from None
