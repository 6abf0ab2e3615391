"""A kept source, opened for one run."""

from __future__ import annotations

import shutil
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct

from santral.config.sources import SourcesConfig
from santral.db.engine import Engine, reading
from santral.retrieval.sources import store
from santral.retrieval.sources.fetch import Fetcher
from santral.retrieval.sources.keep import no_source
from santral.retrieval.sources.push import LeavingSource
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import checked_settings, form_of
from santral.retrieval.sources.source import Source
from santral.retrieval.sources.surroundings import Surroundings


class OpenedSource(Struct, frozen=True):
    """What lists a source. ``has_sidecars``: its files may speak of each other."""

    source: Source
    has_sidecars: bool


@asynccontextmanager
async def opened(
    engine: Engine,
    config: SourcesConfig,
    data_folder: Path,
    tenant_id: str,
    source_id: str,
    max_bytes: int,
) -> AsyncGenerator[OpenedSource]:
    """Hold a source of a tenant; its connections end with the block.

    ``max_bytes`` is the longest document that is fetched.

    Raises:
        NotFound: the tenant has no such source.
        BadRequest: its settings are not what its kind takes.
    """
    async with reading(engine) as conn:
        kept = await store.find_source(conn, source_id)
        if kept is None or kept.tenant_id != tenant_id:
            raise no_source(source_id)
        known = await store.stamps_of(conn, tenant_id, source_id)
    fetcher = Fetcher(config)
    around = Surroundings(
        source_id=source_id,
        folder=own_folder(data_folder, source_id),
        fetcher=fetcher,
        config=config,
        max_bytes=max_bytes,
        known=known,
    )
    try:
        yield _opened(kept, around)
    finally:
        await fetcher.close()


def own_folder(data_folder: Path, source_id: str) -> Path:
    """Return where a source keeps what it needs from run to run."""
    return data_folder / "sources" / source_id


def forget_folder(data_folder: Path, source_id: str) -> None:
    """Remove what a source has kept."""
    shutil.rmtree(own_folder(data_folder, source_id), ignore_errors=True)


def forget_others(data_folder: Path, known: Collection[str]) -> None:
    """Remove what sources have kept that are not known any more."""
    for folder in (data_folder / "sources").glob("src_*"):
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)


def _opened(kept: KeptSource, around: Surroundings) -> OpenedSource:
    if kept.is_leaving:
        return OpenedSource(LeavingSource(around), has_sidecars=False)
    form = form_of(kept.kind)
    source = form.open(checked_settings(kept.kind, kept.settings), around)
    return OpenedSource(source, form.has_sidecars)
