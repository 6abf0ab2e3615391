"""Building a version: split, fit, fill, publish; each stage does what it finds missing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from santral.db.engine import reading, writing
from santral.db.parts import AT_ONCE
from santral.db.store import bump_revision
from santral.retrieval import store
from santral.retrieval.analysis.analyse import counted_text
from santral.retrieval.analysis.counts import Terms
from santral.retrieval.analysis.language import Language
from santral.retrieval.analysis.terms import terms_of
from santral.retrieval.collection import FITTED_DIMENSIONS, Collection, Version
from santral.retrieval.embedding.advice import language_advice
from santral.retrieval.embedding.deployment import DeploymentModel
from santral.retrieval.embedding.fitted.fit import sample_of
from santral.retrieval.embedding.fitted.keep import fit_model
from santral.retrieval.embedding.fitted.model import NAME as FITTED
from santral.retrieval.embedding.fitted.model import FittedModel
from santral.retrieval.embedding.model import EmbeddingModel
from santral.retrieval.index.entry import IndexState, Partition
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.fill import Filling, fill_index
from santral.retrieval.ingest.report import IngestReport, Progress, Tell
from santral.retrieval.ingest.split import split_documents
from santral.retrieval.ingest.state import searchable
from santral.retrieval.ingest.workplace import Workplace
from santral.retrieval.splitting import store as split_store
from santral.retrieval.store import Listed

log = logging.getLogger(__name__)


async def build_versions(
    place: Workplace,
    collection: Collection,
    by: str,
    report: IngestReport,
    tell: Tell,
    *,
    is_anew: bool = False,
) -> None:
    """Bring every live version of a collection up to date with its documents.

    The version that the settings ask for is searched as soon as it is complete, unless the settings
    leave that to a person. ``is_anew`` writes what an index holds already once more: then no file of
    it is left that was there before.

    Raises:
        StoreError: an index or a model cannot be used; what was published stays in force.
        ProviderError: an embeddings endpoint failed.
    """
    now = place.clock()
    async with writing(place.engine) as conn:
        collection = await place.versions.find(conn, collection.tenant_id, collection.name)
        versions = await place.versions.wanted(conn, collection, now, by)
    await drop_retired(place, collection)
    for number, version in enumerate(versions):
        built, refit_reason = await _build(
            place, collection, version, report, tell, is_anew=is_anew
        )
        is_searched = built.version == collection.active_version
        if refit_reason and is_searched:
            log.info(
                "vectors_fitted_anew", extra={"collection": collection.name, "reason": refit_reason}
            )
            await _build_anew(place, collection, built, by, report, tell)
        elif number == 0 and not is_searched:
            await _switch(place, collection, built, report)
    await _note_searched(place, collection, report)


async def drop_retired(place: Workplace, collection: Collection) -> None:
    """Delete the indexes of versions that were given up; one at a time, so that a kill loses none."""
    async with reading(place.engine) as conn:
        retired = await place.versions.retired(conn, collection)
    for version in retired:
        partition = Partition(collection.tenant_id, collection.name, version.version)
        writer = await place.open_writer(partition, version.recipe.engine)
        try:
            await writer.drop()
        finally:
            await writer.close()
        async with writing(place.engine) as conn:
            await place.versions.note(conn, collection, version.version, generation="")


async def _build_anew(
    place: Workplace,
    collection: Collection,
    version: Version,
    by: str,
    report: IngestReport,
    tell: Tell,
) -> None:
    """Fit vectors anew beside a version and put the other one in its place.

    Vectors of two fits cannot be compared, so no search may see both. The former index goes with the
    next run: workers still read it for a moment.
    """
    async with writing(place.engine) as conn:
        added = await place.versions.add(conn, collection, version, place.clock(), by)
    built, _ = await _build(place, collection, added, report, tell)
    async with writing(place.engine) as conn:
        await place.versions.activate(conn, collection, built.version, place.clock())
        await place.versions.retire(conn, collection, version.version)
    report.is_refitted = True


async def _build(
    place: Workplace,
    collection: Collection,
    version: Version,
    report: IngestReport,
    tell: Tell,
    *,
    is_anew: bool = False,
) -> tuple[Version, str]:
    """Return the version as it is now, and why its vectors are to be fitted anew, or nothing."""
    scope = (collection.tenant_id, collection.name)
    async with reading(place.engine) as conn:
        revision = await ingest_store.read_revision(conn, *scope)
        listed = await store.list_states(conn, *scope)
    wanted = searchable(listed, collection.settings, place.clock())
    partition = Partition(*scope, version.version)
    writer = await place.open_writer(partition, version.recipe.engine)
    try:
        await split_documents(place, collection, version, wanted, report, tell)
        model = await _model(place, collection, version, wanted, tell)
        work = Filling(place, collection, version, model, writer, report, tell, is_anew=is_anew)
        state = await fill_index(work, wanted)
        if isinstance(model, DeploymentModel):
            report.embedding_tokens += model.spent.usage.input_tokens
    finally:
        await writer.close()
    built = await _published(place, collection, version, model, state, revision, report)
    return built, _refit_reason(work, built)


def _refit_reason(work: Filling, built: Version) -> str:
    """Return why the vectors of a version are to be fitted anew; one that was just built keeps them."""
    if not isinstance(work.model, FittedModel) or work.version.model is None:
        return ""
    return work.model.refit_reason(built.chunks, work.known.chunks, work.known.share)


async def _published(
    place: Workplace,
    collection: Collection,
    version: Version,
    model: EmbeddingModel | None,
    state: IndexState | None,
    revision: int,
    report: IngestReport,
) -> Version:
    """Write down what a version holds now."""
    if state is None and version.revision == revision and version.state != "building":
        return version
    built = replace(
        version,
        state="ready" if version.state == "building" else version.state,
        model=None if model is None else model.card,
        revision=revision,
    )
    changed = {"state": built.state, "model": built.model, "revision": revision}
    if state is not None:
        report.is_published = True
        built = replace(
            built,
            generation=state.generation,
            documents=state.documents,
            chunks=state.chunks,
            published_at=place.clock(),
        )
        changed |= {
            name: getattr(built, name)
            for name in ("generation", "documents", "chunks", "published_at")
        }
    async with writing(place.engine) as conn:
        await place.versions.note(conn, collection, version.version, **changed)
        await bump_revision(conn)
    return built


async def _switch(
    place: Workplace, collection: Collection, built: Version, report: IngestReport
) -> None:
    is_first = collection.active_version == 0
    if is_first or collection.settings.switch == "auto":
        async with writing(place.engine) as conn:
            await place.versions.activate(conn, collection, built.version, place.clock())
        report.is_switched = not is_first


async def _note_searched(place: Workplace, collection: Collection, report: IngestReport) -> None:
    async with writing(place.engine) as conn:
        found = await place.versions.find(conn, collection.tenant_id, collection.name)
        every = await place.versions.wanted(conn, found, place.clock(), "")
        spoken = await store.count_languages(conn, collection.tenant_id, collection.name)
    for version in every:
        if version.version == found.active_version:
            report.warning = language_advice(version.model, spoken)
            report.version, report.generation = version.version, version.generation
            report.documents, report.chunks = version.documents, version.chunks
    if report.warning:
        log.warning(
            "model_speaks_another_language",
            extra={"collection": collection.name, "reason": report.warning},
        )


async def _model(
    place: Workplace,
    collection: Collection,
    version: Version,
    wanted: Mapping[str, Listed],
    tell: Tell,
) -> EmbeddingModel | None:
    """Return the model of a version; fitted ones are fitted when its chunks are there."""
    recipe = version.recipe
    if recipe.embedding == FITTED and version.model is None:
        return await _fitted(place, collection, version, wanted, tell)
    return await place.models.open(
        collection.tenant_id, recipe.embedding, recipe.dimensions, version.model
    )


async def _fitted(
    place: Workplace,
    collection: Collection,
    version: Version,
    wanted: Mapping[str, Listed],
    tell: Tell,
) -> FittedModel | None:
    scope = (collection.tenant_id, collection.name)
    async with reading(place.engine) as conn:
        counted = await split_store.count_chunks(conn, *scope, version.version)
    ids = [id for id in sorted(wanted) if counted.get(id)]
    total = sum(counted[id] for id in ids)
    if not total:
        return None  # nothing to learn from: the first documents bring the model
    await tell(Progress("fit", 0, total))
    stems, grams = await _sample(place, collection, version, ids, [counted[id] for id in ids])
    model = await fit_model(
        place.engine, place.data_folder, *scope, stems, grams,
        version.recipe.dimensions or FITTED_DIMENSIONS, chunks=total, now=place.clock(),
    )  # fmt: skip
    async with writing(place.engine) as conn:
        await place.versions.note(conn, collection, version.version, model=model.card)
    return model


async def _sample(
    place: Workplace,
    collection: Collection,
    version: Version,
    ids: Sequence[str],
    counts: Sequence[int],
) -> tuple[Terms, Terms]:
    """Return the terms of the chunks to which a model is fitted: all, or some at equal distances."""
    scope = (collection.tenant_id, collection.name)
    ends = np.cumsum(counts)
    chosen = sample_of(int(ends[-1]))
    texts: list[str] = []
    languages: list[Language] = []
    for start in range(0, len(ids), AT_ONCE):
        part = _holding(ids, ends, chosen, start, start + AT_ONCE)
        async with reading(place.engine) as conn:
            documents = await store.find_documents(conn, *scope, list(part))
            chunks = await split_store.list_chunks(conn, *scope, version.version, list(part))
        for id, positions in part.items():
            document = documents[id]
            for position in positions:
                chunk = chunks[id][position]
                texts.append(counted_text(document.title, chunk.section, chunk.text))
                languages.append(document.language)
    return await asyncio.to_thread(terms_of, texts, languages)


def _holding(
    ids: Sequence[str],
    ends: NDArray[np.int64],
    chosen: NDArray[np.int64],
    start: int,
    end: int,
) -> dict[str, list[int]]:
    """Return the documents from ``start`` to ``end`` that hold a chosen chunk, and which of theirs."""
    held: dict[str, list[int]] = {}
    first = int(ends[start - 1]) if start else 0
    last = int(ends[min(end, len(ids)) - 1])
    inside = chosen[(chosen >= first) & (chosen < last)]
    numbers = np.searchsorted(ends, inside, side="right")
    for number, place in zip(map(int, numbers), map(int, inside), strict=True):
        begin = int(ends[number - 1]) if number else 0
        held.setdefault(ids[number], []).append(place - begin)
    return held
