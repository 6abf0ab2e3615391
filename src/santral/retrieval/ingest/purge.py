"""Purging: nothing that was deleted from a collection is left in a file, a table or an index."""

from __future__ import annotations

from santral.db.engine import Connection, reading, writing
from santral.db.rewrite import rewrite
from santral.retrieval.collections import store as collections
from santral.retrieval.embedding.cached import key_of
from santral.retrieval.embedding.fitted.keep import sweep_fits
from santral.retrieval.embedding.registry import OFF
from santral.retrieval.embedding.store import delete_vectors_of_others
from santral.retrieval.ingest.build import build_versions, drop_retired
from santral.retrieval.ingest.report import IngestReport, Tell
from santral.retrieval.ingest.workplace import Workplace
from santral.retrieval.splitting import store as split_store

#: Where texts of documents stood.
_TABLES = ("documents", "document_bodies", "chunks", "version_documents", "vectors")


async def purge(place: Workplace, tenant_id: str, name: str, *, tell: Tell) -> IngestReport:
    """Write every index of a collection anew, forget what nothing refers to, rewrite the database.

    Vectors are kept, so nothing is embedded again. A fitted model still knows which terms it was fitted
    to, as hashes; no text is in it.

    Raises:
        NotFound: there is no such collection.
        StoreError: an index cannot be written, or the database is read without a pause.
    """
    report = IngestReport()
    async with reading(place.engine) as conn:
        collection = await place.versions.find(conn, tenant_id, name)
    await build_versions(place, collection, "system", report, tell, is_anew=True)
    await drop_retired(place, collection)
    await sweep(place, tenant_id, name)
    await rewrite(place.engine, _TABLES)
    return report


async def sweep(place: Workplace, tenant_id: str, name: str) -> None:
    """Forget vectors of which no chunk is left, and models that no version names."""
    async with writing(place.engine) as conn:
        collection = await place.versions.find(conn, tenant_id, name)
        live = await place.versions.wanted(conn, collection, place.clock(), "system")
        await split_store.delete_unused_vectors(conn, tenant_id)
        await _forget_models(conn, tenant_id)
    kept = {version.model.digest for version in live if version.model is not None}
    await sweep_fits(place.engine, place.data_folder, tenant_id, name, kept)


async def _forget_models(conn: Connection, tenant_id: str) -> None:
    """Forget the vectors of models that none of a tenant's versions has any more.

    While one is built, it is not known of which model its vectors are: then all of them stay.
    """
    live = [
        version
        for row in await collections.list_collections(conn, tenant_id)
        for version in await collections.list_versions(conn, tenant_id, row.name)
        if version.state != "retired"
    ]
    models = [version.model for version in live if version.model is not None]
    if len(models) == len([one for one in live if one.recipe.embedding != OFF]):
        await delete_vectors_of_others(conn, tenant_id, [key_of(card) for card in models])
