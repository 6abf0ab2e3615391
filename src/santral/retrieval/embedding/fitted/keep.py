"""Where fitted models are kept: in the control database, and in a file of every machine that asks.

    <data>/models/fitted/<digest>       written aside, renamed, and checked whenever it is read

The file is a cache of the row: machines that never ask the database (gateways) get it from the process
that does, before they learn of the version that needs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from pathlib import Path

from santral.db.engine import Engine, reading, writing
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.embedding import store
from santral.retrieval.embedding.fitted.artefact import unusable
from santral.retrieval.embedding.fitted.file import fitted_folder, is_whole, write_fit
from santral.retrieval.embedding.fitted.fit import fit
from santral.retrieval.embedding.fitted.model import FittedModel, made_of


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
    await asyncio.to_thread(write_fit, fitted_folder(data_folder), model.card.digest, artefact)
    return model


async def fetch_fit(engine: Engine, data_folder: Path, tenant_id: str, digest: str) -> None:
    """Make sure that the file of a fitted model is there, for the processes that read files only.

    Raises:
        StoreError: the database holds no such model, or the file cannot be written.
    """
    folder = fitted_folder(data_folder)
    if await asyncio.to_thread(is_whole, folder / digest, digest):
        return
    async with reading(engine) as conn:
        artefact = await store.find_fit(conn, tenant_id, digest)
    if artefact is None:
        raise unusable(digest, "it is nowhere to be found")
    await asyncio.to_thread(write_fit, folder, digest, artefact)


async def sweep_fits(
    engine: Engine, data_folder: Path, tenant_id: str, collection: str, kept: Collection[str]
) -> int:
    """Remove the fits of a collection that no version names any more; return how many."""
    async with writing(engine) as conn:
        gone = await store.delete_other_fits(conn, tenant_id, collection, kept)
    for digest in gone:
        (fitted_folder(data_folder) / digest).unlink(missing_ok=True)
    return len(gone)
