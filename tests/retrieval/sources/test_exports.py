"""Exports of Confluence and Notion: trees of pages in a zip file, and hostile ones."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.retrieval.sources.conftest import Around, inside, listing
from tests.retrieval.sources.site import Site

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.confluence import ConfluenceSource
from santral.retrieval.sources.notion import NotionSource
from santral.retrieval.sources.settings import ConfluenceSettings, NotionSettings
from santral.retrieval.sources.source import Covered

pytestmark = pytest.mark.anyio

A, B = "0" * 31 + "a", "0" * 31 + "b"


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def notion(path: Path, **more: Any) -> NotionSettings:
    return NotionSettings.model_validate({"path": str(path), **more})


def confluence(path: Path, **more: Any) -> ConfluenceSettings:
    return ConfluenceSettings.model_validate({"path": str(path), **more})


NOTION = {
    f"Handbook {A}.md": "# Handbook",
    f"Handbook {A}/Leave {B}.md": "# Leave",
    f"Handbook {A}/Leave {B}/plan.pdf": b"%PDF",
    f"Handbook {A}/Table {'c' * 32}.csv": "a,b",
    ".DS_Store": "x",
}


async def test_notions_pages_have_titles_parents_and_ids(tmp_path: Path, around: Around) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(zipped({"ExportBlock-1-Part-1.zip": zipped(NOTION)}))
    seen = await listing(NotionSource(notion(path, groups={"Handbook/": ["staff"]}), around()))
    assert {item.source: item.metadata.allowed_groups for item in seen.items.values()} == {
        "Handbook.md": (),
        "Handbook/Leave.md": ("staff",),
        "Handbook/Leave/plan.pdf": ("staff",),
        "Handbook/Table.csv": ("staff",),
    }
    leave = seen.items[f"notion:src_1/{B}.md"]
    assert leave.metadata.attributes == {"path": "Handbook"}
    assert leave.metadata.url == f"https://www.notion.so/{B}"
    assert seen.contents[leave.location] == b"# Leave"
    assert seen.covered == [Covered("source:src_1")]


async def test_a_page_keeps_its_location_when_it_is_renamed(tmp_path: Path, around: Around) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(zipped({f"Old {A}.md": "# Page"}))
    before = await listing(NotionSource(notion(path), around()))
    path.write_bytes(zipped({f"Elsewhere {B}/New {A}.md": "# Page"}))
    after = await listing(NotionSource(notion(path), around()))
    assert before.stamps == after.stamps


def page(title: str, crumbs: tuple[str, ...], body: str) -> str:
    above = "".join(f'<li><span><a href="x.html">{crumb}</a></span></li>' for crumb in crumbs)
    return (
        f"<html><head><title>{title}</title></head><body><div id='breadcrumb-section'>"
        f"<ol id='breadcrumbs'>{above}</ol></div><p>{body}<br></p></body></html>"
    )


async def test_a_space_as_html_has_a_tree_and_attachments(tmp_path: Path, around: Around) -> None:
    path = tmp_path / "space.zip"
    link = '<a href="attachments/12/77.pdf">Plan of 2026.pdf</a>'
    path.write_bytes(
        zipped(
            {
                "HR/index.html": page("HR (People)", (), "index"),
                "HR/Leave_12.html": page("People : Leave &amp; more", ("People", "Rules"), link),
                "HR/attachments/12/77.pdf": b"%PDF",
                "HR/images/icons/x.png": b"x",
                "HR/styles/site.css": "x",
            }
        )
    )
    settings = confluence(path, site="https://wiki.example/", groups={"Rules/": ["hr"]})
    seen = await listing(ConfluenceSource(settings, around()))
    leave = seen.items["confluence:src_1/page/12.html"]
    assert (leave.source, leave.name) == ("Rules/Leave & more.html", "Leave & more.html")
    assert leave.metadata.url == "https://wiki.example/pages/viewpage.action?pageId=12"
    assert leave.metadata.allowed_groups == ("hr",)
    plan = seen.items["confluence:src_1/file/attachments/12/77.pdf"]
    assert (plan.name, seen.contents[plan.location]) == ("Plan of 2026.pdf", b"%PDF")
    assert len(seen.items) == 2
    assert seen.covered == [Covered("source:src_1")]


ENTITIES = """<?xml version="1.0" encoding="UTF-8"?>
<hibernate-generic datetime="2026-11-22">
<object class="Page" package="x"><id name="id">1</id><property name="title"><![CDATA[Rules]]></property>
  <property name="version">3</property><property name="contentStatus"><![CDATA[current]]></property></object>
<object class="Page" package="x"><id name="id">2</id><property name="title"><![CDATA[Leave]]></property>
  <property name="parent" class="Page"><id name="id">1</id></property><property name="version">1</property>
  <property name="lastModificationDate">2026-11-01 10:00:00.000</property></object>
<object class="Page" package="x"><id name="id">3</id><property name="title">Leave</property>
  <property name="originalVersion" class="Page"><id name="id">2</id></property></object>
<object class="BodyContent" package="x"><id name="id">9</id><property name="body"><![CDATA[<p>Fourteen days</p>]]></property>
  <property name="content" class="Page"><id name="id">2</id></property></object>
<object class="BodyContent" package="x"><id name="id">8</id><property name="body"><![CDATA[<p>old</p>]]></property>
  <property name="content" class="Page"><id name="id">3</id></property></object>
<object class="Attachment" package="x"><id name="id">7</id><property name="title"><![CDATA[plan.pdf]]></property>
  <property name="version">2</property><property name="containerContent" class="Page"><id name="id">2</id></property></object>
</hibernate-generic>"""


async def test_a_space_as_xml_has_current_pages_alone(tmp_path: Path, around: Around) -> None:
    path = tmp_path / "space.zip"
    path.write_bytes(
        zipped(
            {"entities.xml": ENTITIES, "attachments/2/7/1": b"old", "attachments/2/7/2": b"%PDF"}
        )
    )
    seen = await listing(ConfluenceSource(confluence(path, site="https://w.example"), around()))
    assert {item.source: item.name for item in seen.items.values()} == {
        "Rules/Leave.html": "Leave.html",
        "attachments/plan.pdf": "plan.pdf",
    }
    leave = seen.items["confluence:src_1/page/2.html"]
    assert b"<h1>Leave</h1><p>Fourteen days</p>" in seen.contents[leave.location]
    assert leave.metadata.modified_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert leave.metadata.attributes == {"path": "Rules"}
    assert seen.contents["confluence:src_1/file/7"] == b"%PDF"


async def test_an_export_is_fetched_from_a_site(site: Site, around: Around) -> None:
    site.page("/export.zip", zipped(NOTION), Content_Type="application/zip")
    settings = NotionSettings.model_validate({"url": f"{site.url}/export.zip"})
    assert len((await listing(NotionSource(settings, around()))).items) == 4
    small = around(config=inside(max_repository_bytes=1024 * 1024))
    site.page("/export.zip", b"x" * 1_100_000, Content_Type="application/zip")
    with pytest.raises(SourceUnreachable, match="larger"):
        await listing(NotionSource(settings, small))


async def test_bombs_damage_and_ways_out_are_refused(tmp_path: Path, around: Around) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(
        zipped({f"P {A}.md": bytes(50_000_000), "../../out.md": "x", "/etc/x.md": "y"})
    )
    seen = await listing(NotionSource(notion(path), around()), fetch=False)
    (item,) = seen.items.values()
    with pytest.raises(UnreadableError, match="larger"):
        await item.fetch()
    path.write_bytes(b"PK nothing")
    with pytest.raises(SourceUnreachable, match="no zip file"):
        await listing(NotionSource(notion(path), around()))
    small = around(config=inside(max_repository_bytes=1024 * 1024))
    path.write_bytes(zipped({"inner.zip": bytes(5_000_000)}))
    with pytest.raises(SourceUnreachable, match="more than"):
        await listing(NotionSource(notion(path), small))
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    path.write_bytes(zipped({"entities.xml": bomb}))
    with pytest.raises(SourceUnreachable, match="entities of its own"):
        await listing(ConfluenceSource(confluence(path), around()))
    with pytest.raises(SourceUnreachable, match="no file"):
        await listing(NotionSource(notion(tmp_path / "gone.zip"), around()))
