"""Pages and sitemaps on a real site: asked for again only where they changed, gone only where seen."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.retrieval.sources.conftest import Around, listing
from tests.retrieval.sources.site import Site

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.pages import UrlSource, name_of, path_of
from santral.retrieval.sources.robots import parse_robots
from santral.retrieval.sources.settings import SitemapSettings, UrlSettings
from santral.retrieval.sources.sitemap import SitemapSource, parse_sitemap
from santral.retrieval.sources.source import Covered

pytestmark = pytest.mark.anyio

ROOT = "source:src_1"


def urls(site: Site, *paths: str, **more: Any) -> UrlSettings:
    return UrlSettings.model_validate({"urls": [site.url + path for path in paths], **more})


async def test_a_page_is_taken_with_its_stamp_its_date_and_its_groups(
    site: Site, around: Around
) -> None:
    date = "Sun, 22 Nov 2026 10:00:00 GMT"
    site.page("/hr/pay", "<p>pay</p>", ETag='"v1"', Last_Modified=date)
    settings = urls(site, "/hr/pay#top", groups={"": ["all"], "hr/": ["hr"]}, owner="Ada",
                    attributes={"team": "people"})  # fmt: skip
    seen = await listing(UrlSource(settings, around()))
    (item,) = seen.items.values()
    assert item.location == f"{site.url}/hr/pay"
    assert (item.stamp, item.name, item.media_type) == (
        'etag:"v1"', "pay.html", "text/html; charset=utf-8",
    )  # fmt: skip
    assert item.metadata.allowed_groups == ("hr",)
    assert item.metadata.modified_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert (item.metadata.owner, item.metadata.attributes) == ("Ada", {"team": "people"})
    assert seen.contents[item.location] == b"<p>pay</p>"
    assert seen.covered == [Covered(ROOT)]
    assert site.paths() == ["/hr/pay"]


@pytest.mark.parametrize("headers", [{"ETag": '"v1"'}, {"Last_Modified": "Sun, 22 Nov 2026 10:00:00 GMT"}, {}])  # fmt: skip
async def test_what_has_not_changed_keeps_its_stamp(
    site: Site, around: Around, headers: dict[str, str]
) -> None:
    site.page("/a", "one", 200, **headers)
    first = await listing(UrlSource(urls(site, "/a"), around()))
    again = await listing(UrlSource(urls(site, "/a"), around(known=first.stamps)), fetch=False)
    assert again.stamps == first.stamps
    changed = {
        name: value.replace("1", "2").replace("10:", "11:") for name, value in headers.items()
    }
    site.page("/a", "two", 200, **changed)
    third = await listing(UrlSource(urls(site, "/a"), around(known=first.stamps)))
    assert third.stamps != first.stamps
    assert third.contents == {f"{site.url}/a": b"two"}


async def test_a_long_page_is_asked_for_again_and_one_too_long_is_refused(
    site: Site, around: Around
) -> None:
    site.page("/long", b"x" * 300_000, ETag='"1"')
    seen = await listing(UrlSource(urls(site, "/long"), around()))
    assert len(seen.contents[f"{site.url}/long"]) == 300_000
    seen = await listing(UrlSource(urls(site, "/long"), around(max_bytes=200_000)), fetch=False)
    (item,) = seen.items.values()
    with pytest.raises(UnreadableError, match="larger than 200000"):
        await item.fetch()


async def test_a_page_that_is_gone_is_covered_and_one_that_is_away_is_not(
    site: Site, around: Around
) -> None:
    site.page("/away", status=503)
    site.page("/secret", status=403)
    site.page("/here", "here")
    seen = await listing(UrlSource(urls(site, "/gone", "/away", "/secret", "/here"), around()))
    assert list(seen.items) == [f"{site.url}/here"]
    assert seen.covered == [Covered(ROOT, (f"{site.url}/away", f"{site.url}/secret"))]
    assert [problem.source for problem in seen.problems] == [
        f"{site.url}{path}" for path in ("/gone", "/away", "/secret")
    ]


async def test_a_site_that_is_away_ends_the_run_and_covers_nothing(
    site: Site, around: Around
) -> None:
    paths = [f"/{number}" for number in range(20)]
    for path in paths:
        site.page(path, status=500)
    with pytest.raises(SourceUnreachable, match="10 pages in a row"):
        await listing(UrlSource(urls(site, *paths), around()))
    assert len(site.asked) == 10


async def test_credentials_go_to_the_first_host_alone(
    site: Site, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WIKI_TOKEN", "t0ken")
    site.page("/a", "a")
    other = site.url.replace("127.0.0.1", "127.0.0.2")
    settings = UrlSettings.model_validate(
        {"urls": [f"{site.url}/a", f"{other}/a"], "bearer": "env:WIKI_TOKEN"}
    )
    await listing(UrlSource(settings, around(max_bytes=10)))
    assert site.asked[0].headers["Authorization"] == "Bearer t0ken"
    assert ["Authorization" in asked.headers for asked in site.asked] == [True, False]


async def test_requests_to_one_host_are_paused(site: Site, around: Around) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    for path in ("/a", "/b", "/c"):
        site.page(path, path)
    await listing(UrlSource(urls(site, "/a", "/b", "/c", pause_s=1.5), around(sleep=sleep)))
    assert waited == [1.5, 1.5]


@pytest.mark.parametrize(
    ("url", "media_type", "name"),
    [
        ("https://a.com/", "text/html; charset=utf-8", "index.html"),
        ("https://a.com/guide", "text/html", "guide.html"),
        ("https://a.com/guide.php", "text/html", "guide.php.html"),
        ("https://a.com/x.pdf", "application/pdf", "x.pdf"),
        ("https://a.com/download", "application/pdf", "download.pdf"),
        ("https://a.com/readme.md", "text/plain", "readme.md"),
        ("https://a.com/x.docx", "application/octet-stream", "x.docx"),
        ("https://a.com/x.htm", "text/html", "x.htm"),
    ],
)
def test_a_page_is_named_as_files_of_its_type_are(url: str, media_type: str, name: str) -> None:
    assert name_of(url, media_type) == name


@pytest.mark.parametrize("url", ["https://a.com/hr/x", "https://a.com//hr/x", "https://a.com/%68r/x",
                                 "https://a.com/b/../hr/x", "https://a.com/./hr//x"])  # fmt: skip
def test_groups_know_a_page_in_every_spelling_of_its_path(url: str) -> None:
    assert path_of(url) == "hr/x"


# sitemaps


def sitemap_of(site: Site, *paths: str, lastmod: str = "") -> str:
    mark = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    body = "".join(f"<url><loc>{site.url}{path}</loc>{mark}</url>" for path in paths)
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{body}</urlset>'


def crawl(site: Site, path: str = "/sitemap.xml", **more: Any) -> SitemapSettings:
    return SitemapSettings.model_validate({"url": site.url + path, **more})


async def test_an_index_of_packed_sitemaps_is_followed(site: Site, around: Around) -> None:
    site.page(
        "/sitemap.xml",
        f"<sitemapindex><sitemap><loc>{site.url}/one.xml.gz</loc></sitemap>"
        f"<sitemap><loc>{site.url}/sitemap.xml</loc></sitemap></sitemapindex>",
    )
    site.page("/one.xml.gz", gzip.compress(sitemap_of(site, "/a", "/b", "/a").encode()))
    site.page("/a", "a")
    site.page("/b", "b")
    seen = await listing(SitemapSource(crawl(site), around()))
    assert list(seen.contents.values()) == [b"a", b"b"]
    assert seen.covered == [Covered(ROOT)]
    assert site.paths().count("/sitemap.xml") == 1


async def test_the_site_itself_says_where_its_sitemap_is(site: Site, around: Around) -> None:
    site.page("/robots.txt", f"Sitemap: {site.url}/deep/map.xml\n")
    site.page("/deep/map.xml", sitemap_of(site, "/a"))
    site.page("/a", "a")
    seen = await listing(SitemapSource(crawl(site, "/"), around()))
    assert len(seen.items) == 1


async def test_robots_are_obeyed_unless_an_administrator_says_otherwise(
    site: Site, around: Around
) -> None:
    site.page("/robots.txt", "User-agent: *\nDisallow: /private\nCrawl-delay: 2\n")
    site.page("/sitemap.xml", sitemap_of(site, "/a", "/private/x"))
    site.page("/a", "a")
    site.page("/private/x", "x")
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    seen = await listing(SitemapSource(crawl(site), around(sleep=sleep)))
    assert list(seen.items) == [f"{site.url}/a"]
    assert [problem.reason for problem in seen.problems] == ["robots.txt forbids 1 pages"]
    assert max(waited) == 2
    seen = await listing(SitemapSource(crawl(site, robots=False), around()))
    assert len(seen.items) == 2


async def test_a_site_whose_robots_cannot_be_read_is_left_alone(site: Site, around: Around) -> None:
    site.page("/robots.txt", status=503)
    site.page("/sitemap.xml", sitemap_of(site, "/a"))
    site.page("/a", "a")
    with pytest.raises(SourceUnreachable):
        await listing(SitemapSource(crawl(site), around()))
    assert "/a" not in site.paths()


async def test_pages_of_other_hosts_are_left_out(site: Site, around: Around) -> None:
    other = site.url.replace("127.0.0.1", "127.0.0.2")
    site.page("/sitemap.xml", sitemap_of(site, "/a", "/moved").replace("</urlset>",
              f"<url><loc>{other}/b</loc></url><url><loc>file:///etc/passwd</loc></url></urlset>"))  # fmt: skip
    site.page("/a", "a")
    site.page("/moved", status=302, Location=f"{other}/b")
    site.page("/b", "b")
    seen = await listing(SitemapSource(crawl(site), around()))
    assert list(seen.items) == [f"{site.url}/a"]
    assert len(seen.problems) == 2
    allowed = await listing(SitemapSource(crawl(site, hosts=["127.0.0.2"]), around()))
    assert f"{other}/b" in allowed.items


async def test_what_was_cut_short_covers_nothing(site: Site, around: Around) -> None:
    site.page("/sitemap.xml", sitemap_of(site, "/a", "/b", "/c"))
    for path in ("/a", "/b", "/c"):
        site.page(path, path * 1000)
    seen = await listing(SitemapSource(crawl(site, max_items=2), around()))
    assert (len(seen.items), seen.covered) == (2, [])
    assert "max_items" in seen.problems[0].reason
    seen = await listing(SitemapSource(crawl(site, max_total_bytes=1024), around()))
    assert (len(seen.items), seen.covered) == (1, [])
    site.page("/sitemap.xml", f"<sitemapindex><sitemap><loc>{site.url}/x.xml</loc></sitemap>"
              f"<sitemap><loc>{site.url}/y.xml</loc></sitemap></sitemapindex>")  # fmt: skip
    site.page("/x.xml", "<urlset><url><loc>")
    site.page("/y.xml", sitemap_of(site, "/a"))
    seen = await listing(SitemapSource(crawl(site), around()))
    assert (list(seen.items), seen.covered) == ([f"{site.url}/a"], [])


async def test_a_trusted_lastmod_saves_the_request(site: Site, around: Around) -> None:
    site.page("/sitemap.xml", sitemap_of(site, "/a", lastmod="2026-11-01"))
    site.page("/a", "a")
    first = await listing(SitemapSource(crawl(site, trust_lastmod=True), around()))
    (item,) = first.items.values()
    assert item.metadata.modified_at == datetime(2026, 11, 1, tzinfo=UTC)
    again = await listing(
        SitemapSource(crawl(site, trust_lastmod=True), around(known=first.stamps)), fetch=False
    )
    assert again.stamps == first.stamps
    assert site.paths().count("/a") == 1
    site.page("/sitemap.xml", sitemap_of(site, "/a", lastmod="2026-11-02"))
    third = await listing(
        SitemapSource(crawl(site, trust_lastmod=True), around(known=first.stamps))
    )
    assert third.stamps == {f"{site.url}/a": "lastmod:2026-11-02"}


def test_a_sitemap_expands_nothing() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>'
    with pytest.raises(UnreadableError, match="DOCTYPE"):
        parse_sitemap(bomb)
    with pytest.raises(UnreadableError, match="no XML"):
        parse_sitemap(b"<urlset><url></urlset>")
    assert [page.url for page in parse_sitemap(b"https://a.com/1\n\nhttps://a.com/2").pages] == [
        "https://a.com/1",
        "https://a.com/2",
    ]


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("/", True), ("/fish", False), ("/fish.html", False), ("/fishing/a", True),
        ("/x/y.php", False), ("/x/y.php5", True), ("/a%3cd", False), ("/q?x=1&y", False),
        ("/Fish", True),
    ],
)  # fmt: skip
def test_robots_match_as_the_standard_says(path: str, is_allowed: bool) -> None:
    text = b"""
User-agent: other
Disallow: /

User-agent: Santral
User-agent: somebody
Disallow: /fish
Allow: /fishing
Disallow: /*.php$
Disallow: /a%3Cd   # written in capitals
Disallow: /q?*&y
Allow: *.php
"""
    assert parse_robots(text, "Santral (documents)").allows(path) is is_allowed


def test_robots_without_a_group_for_us_are_those_for_everybody() -> None:
    assert not parse_robots(b"User-agent: *\nDisallow: /", "Santral").allows("/a")
    assert parse_robots(b"User-agent: *\nDisallow:", "Santral").allows("/a")
    assert parse_robots(b"<html>", "Santral").allows("/a")
