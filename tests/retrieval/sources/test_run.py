"""A source taken in for real, on both databases: what is seen to be gone goes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.retrieval.conftest import NOW
from tests.retrieval.sources.site import Site
from tests.tenants.acting import OPERATOR, plant

from santral.app.ingesting import workplace
from santral.config.schema import Config
from santral.db.engine import Engine, reading
from santral.errors import SourceUnreachable
from santral.retrieval import store as kept
from santral.retrieval.ingest.ingest import Delivery, ingest
from santral.retrieval.ingest.report import IngestReport
from santral.retrieval.sources import keep
from santral.retrieval.sources.opened import opened

pytestmark = pytest.mark.anyio


def settings(folder: Path) -> Config:
    return Config.model_validate(
        {
            "data": {"folder": str(folder)},
            "sources": {"allow_networks": ["127.0.0.0/8"]},
            "collections": {"docs": {"embedding": "off"}},
        }
    )


async def run(engine: Engine, config: Config, source_id: str) -> IngestReport:
    held = opened(engine, config.sources, config.data.folder, "acme", source_id, 1_000_000)
    async with workplace(config, engine, clock=lambda: NOW) as place, held as source:
        delivery = Delivery(source.source, source_id, has_sidecars=source.has_sidecars)
        return await ingest(place, "acme", "docs", [delivery], by="cli:test")


async def present(engine: Engine) -> dict[str, str]:
    async with reading(engine) as conn:
        found = await kept.list_known(conn, "acme", "docs")
    return {document.location.rpartition("/")[2]: document.id for document in found}


def sitemap(site: Site, *paths: str) -> None:
    urls = "".join(f"<url><loc>{site.url}{path}</loc></url>" for path in paths)
    site.page("/sitemap.xml", f"<urlset>{urls}</urlset>")


async def test_what_is_seen_to_be_gone_goes_and_what_is_away_stays(
    engine: Engine, site: Site, tmp_path: Path
) -> None:
    await plant(engine, "acme")
    config = settings(tmp_path)
    for number in range(4):
        text = f"<h1>Page {number}</h1><p>It speaks of subject number {number}, at some length.</p>"
        site.page(f"/{number}", text, ETag=f'"{number}"')
    sitemap(site, "/0", "/1", "/2", "/3")
    source = await keep.add_source(
        engine, config.sources, "acme", "docs", "sitemap",
        {"url": f"{site.url}/sitemap.xml", "pause_s": 0, "groups": {"3": ["hr"]}}, NOW, by=OPERATOR,
    )  # fmt: skip
    first = await run(engine, config, source.id)
    assert (first.read, first.problems) == (4, 0)
    before = await present(engine)
    assert sorted(before) == ["0", "1", "2", "3"]

    site.page("/0", status=410)
    site.page("/1", status=500)
    site.page("/2", "<h1>Page 2</h1><p>It has changed since, and says so.</p>", ETag='"new"')
    second = await run(engine, config, source.id)
    assert (second.read, second.unchanged, second.removed) == (1, 1, 1)
    assert await present(engine) == {name: before[name] for name in ("1", "2", "3")}

    site.page("/robots.txt", status=503)
    with pytest.raises(SourceUnreachable):
        await run(engine, config, source.id)
    site.page("/robots.txt", status=404)
    site.page("/sitemap.xml", "<urlset><url><loc>")
    assert (await run(engine, config, source.id)).removed == 0
    assert sorted(await present(engine)) == ["1", "2", "3"]

    await keep.delete_source(engine, source.id, NOW, by=OPERATOR)
    assert (await run(engine, config, source.id)).removed == 3
    assert await present(engine) == {}


async def test_a_source_leaves_the_documents_of_others_alone(
    engine: Engine, site: Site, tmp_path: Path
) -> None:
    await plant(engine, "acme")
    config = settings(tmp_path)
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.md").write_text("# Here\n\nA file of this machine about gardens.")
    site.page("/b", "<h1>There</h1><p>A page of a site about rivers and lakes.</p>")
    sources = [
        await keep.add_source(engine, config.sources, "acme", "docs", kind, told, NOW, by=OPERATOR)
        for kind, told in (
            ("folder", {"path": str(folder)}),
            ("url", {"urls": [f"{site.url}/b"]}),
        )
    ]
    for source in sources:
        await run(engine, config, source.id)
    assert sorted(await present(engine)) == ["a.md", "b"]
    (folder / "a.md").rename(folder / "renamed.md")
    moved = await run(engine, config, sources[0].id)
    assert (moved.moved, moved.removed) == (1, 0)
    site.page("/b", status=404)
    await run(engine, config, sources[1].id)
    assert sorted(await present(engine)) == ["renamed.md"]
