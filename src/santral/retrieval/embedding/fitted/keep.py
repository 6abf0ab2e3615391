"""Where fitted models are kept: in the control database, and in a file of every machine that asks.

    <data>/models/fitted/<digest>       written aside, renamed, and checked whenever it is read

The file is a cache of the row: machines that never ask the database (gateways) get it from the process
that does, before they learn of the version that needs it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from santral.db.engine import Engine, reading, writing
from santral.errors import StoreError
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.embedding import store
from santral.retrieval.embedding.fitted.artefact import digest_of, unusable
from santral.retrieval.embedding.fitted.fit import fit
from santral.retrieval.embedding.fitted.model import FittedModel, made_of, opened


def fitted_folder(data_folder: Path) -> Path:
    """Return the folder of the files."""
    return data_folder / "models" / "fitted"


async def fit_model(
    engine: Engine,
    data_folder: Path,
    tenant_id: str,
    collection: str,
    stems: Terms,
    grams: Terms,
    dimensions: int,
    *,
    chunks: int,
    now: datetime,
) -> FittedModel:
    """Fit a model to a collection of so many ``chunks`` and keep it; leaves the event loop.

    ``stems`` and ``grams`` are of the chunks that ``sample_of(chunks)`` names.

    Raises:
        StoreError: the ``rag`` extra is not installed, or nothing can be written.
    """
    projection = await asyncio.to_thread(fit, stems, grams, dimensions, chunks=chunks)
    model, artefact = made_of(projection)
    async with writing(engine) as conn:
        await store.add_fit(conn, tenant_id, collection, model.card.digest, artefact, chunks, now)
    await asyncio.to_thread(_write, fitted_folder(data_folder), model.card.digest, artefact)
    return model


async def fetch_fit(engine: Engine, data_folder: Path, tenant_id: str, digest: str) -> None:
    """Make sure that the file of a fitted model is there, for the processes that read files only.

    Raises:
        StoreError: the database holds no such model, or the file cannot be written.
    """
    folder = fitted_folder(data_folder)
    if await asyncio.to_thread(_is_whole, folder / digest, digest):
        return
    async with reading(engine) as conn:
        artefact = await store.find_fit(conn, tenant_id, digest)
    if artefact is None:
        raise unusable(digest, "it is nowhere to be found")
    await asyncio.to_thread(_write, folder, digest, artefact)


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


async def sweep_fits(
    engine: Engine, data_folder: Path, tenant_id: str, collection: str, kept: Collection[str]
) -> int:
    """Remove the fits of a collection that no version names any more; return how many."""
    async with writing(engine) as conn:
        gone = await store.delete_other_fits(conn, tenant_id, collection, kept)
    for digest in gone:
        (fitted_folder(data_folder) / digest).unlink(missing_ok=True)
    return len(gone)


def _is_whole(path: Path, digest: str) -> bool:
    try:
        return digest_of(path.read_bytes()) == digest
    except OSError:
        return False


def _write(folder: Path, digest: str, artefact: bytes) -> None:
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
