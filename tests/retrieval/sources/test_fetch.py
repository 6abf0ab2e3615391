"""Fetching what somebody named: never into the network inside, never without an end."""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.retrieval.sources.conftest import inside
from tests.retrieval.sources.site import Page, Site, serving

from santral.config.sources import SourcesConfig
from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import MAX_REDIRECTS, Answer, Fetcher, Gone, unpacked
from santral.retrieval.sources.reach import AddressRefused, Reach
from santral.web.address import is_public
from santral.web.peer import Networks

pytestmark = pytest.mark.anyio

HOSTILE = """
http://127.0.0.1/ http://127.1/ http://2130706433/ http://0x7f000001/ http://0177.0.0.1/ http://0x7f.1/
http://0/ http://0.0.0.0/ http://10.0.0.1/ http://172.16.0.9/ http://192.168.1.1/ http://100.64.0.1/
http://169.254.169.254/latest/meta-data/ http://169.254.170.2/ http://[::1]/ http://[::]/
http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[64:ff9b::7f00:1]/ http://[64:ff9b:1::1]/
http://[2002:7f00:1::]/ http://[fe80::1]/ http://[fe80::1%25eth0]/ http://[fd00:ec2::254]/
http://[fec0::1]/ http://224.0.0.1/ http://255.255.255.255/ http://localhost/ http://LOCALHOST:80/
http://localhost./ http://127.0.0.1./ http://metadata.google.internal/ http://redis/ http://db.svc/
http://printer.local/ http://user@example.com/ http://user:secret@example.com/ http://@127.0.0.1/
http://example.com@127.0.0.1/ http://127.0.0.1#@example.com/ file:///etc/passwd ftp://example.com/
gopher://example.com/ data:text/plain,x javascript:1 //127.0.0.1/ /etc/passwd example.com
http:/127.0.0.1/ http:///x http://exa\u00admple.com/ http://127\u30020\u30020\u30021/
http://good.example\\@127.0.0.1/ http://\u2460\u2461\u2466.0.0.1/ http://0x7f.0.0.0x1/
http://3232235777/ http://8.8.8.010/ http://134744072/
"""


def looking_up(*addresses: str) -> Reach:
    async def lookup(host: str, port: int) -> Sequence[str]:
        return addresses

    return Reach(Networks([]), lookup)


@pytest.mark.parametrize("url", [*HOSTILE.split(), "http://a.com/\n", "http://a.com/ b", "http://a.com:0/",
                                 "http://a.com:99999/", "https://a.com/" + "x" * 5000, ""])  # fmt: skip
def test_an_address_inside_or_in_disguise_is_refused_before_anything_is_looked_up(url: str) -> None:
    with pytest.raises(AddressRefused):
        Reach().checked(url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/a?b=c", "http://8.8.8.8:8080/", "https://[2606:4700::1111]/x",
     "https://b\u00fccher.example/"],
)  # fmt: skip
def test_an_address_outside_may_be_asked(url: str) -> None:
    assert Reach().checked(url).host


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%2",
                "64:ff9b::a00:1", "0.0.0.0", "fd00::1"],
)  # fmt: skip
async def test_a_name_that_means_an_address_inside_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match=r"inside the network.*sources\.allow_networks"):
        await looking_up(address).addresses("evil.example.com", 443)
    with pytest.raises(AddressRefused):
        await looking_up("8.8.8.8", address).addresses("evil.example.com", 443)


@given(st.ip_addresses())
def test_an_address_is_allowed_when_it_is_public(address: object) -> None:
    given_ = ip_address(str(address))
    reach = Reach()
    if is_public(given_):
        reach.require(given_, "a")
    else:
        with pytest.raises(AddressRefused):
            reach.require(given_, "a")
    Reach(Networks(["0.0.0.0/0", "::/0"])).require(given_, "a")


async def test_the_connection_goes_to_the_address_that_was_judged(site: Site) -> None:
    """A name that means another address each time it is asked never gets a second chance."""
    site.page("/a", "hello")
    asked: list[str] = []

    async def lookup(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    fetcher = Fetcher(inside(), lookup=lookup)
    url = f"http://rebinding.example.com:{site.port}/a"
    async with fetcher.ask(url) as answer:
        assert await answer.read(100) == b"hello"
    assert asked == ["rebinding.example.com"]
    await fetcher.close()
    with pytest.raises(AddressRefused):
        async with fetcher.ask(url):
            pass
    await fetcher.close()
    assert site.paths() == ["/a"]


async def test_this_machine_is_asked_only_where_an_administrator_allowed_it(site: Site) -> None:
    fetcher = Fetcher(SourcesConfig())
    with pytest.raises(AddressRefused):
        async with fetcher.ask(site.url):
            pass
    await fetcher.close()
    assert site.asked == []


async def fetched(fetcher: Fetcher, url: str, **headers: str) -> tuple[Answer, bytes]:
    async with fetcher.ask(url, headers) as answer:
        return answer, await answer.read(10_000)


async def test_every_redirect_is_judged(site: Site, fetcher: Fetcher) -> None:
    site.page("/a", status=302, Location="/b")
    site.page("/b", "here")
    answer, body = await fetched(fetcher, f"{site.url}/a")
    assert (answer.url, body) == (f"{site.url}/b", b"here")
    for place in ("http://169.254.169.254/latest", "file:///etc/passwd", "http://[::1]:1/",
                  "http://0x7f.1/", "gopher://x.com/"):  # fmt: skip
        site.page("/evil", status=301, Location=place)
        with pytest.raises(AddressRefused):
            await fetched(fetcher, f"{site.url}/evil")
    site.page("/round", status=307, Location="/round")
    with pytest.raises(UnreadableError, match="more than 5 times"):
        await fetched(fetcher, f"{site.url}/round")
    assert site.paths().count("/round") == MAX_REDIRECTS + 1


async def test_credentials_stay_with_the_site_that_was_named(site: Site, fetcher: Fetcher) -> None:
    with serving(Site()) as other:
        other.page("/b", "elsewhere")
        site.page("/a", status=302, Location=f"{other.url}/b")
        site.page("/c", status=302, Location="/d")
        site.page("/d", "here")
        await fetched(fetcher, f"{site.url}/a", Authorization="Bearer s3cret")
        await fetched(fetcher, f"{site.url}/c", Authorization="Bearer s3cret")
        assert "Authorization" not in other.asked[0].headers
        assert [asked.headers.get("Authorization") for asked in site.asked] == ["Bearer s3cret"] * 3


async def test_a_body_has_an_end_packed_or_not(site: Site, fetcher: Fetcher) -> None:
    site.page("/long", b"x" * 20_000)
    site.page("/bomb", gzip.compress(bytes(50_000_000)), Content_Encoding="gzip")
    site.page("/packed", gzip.compress(b"short" * 1000), Content_Encoding="gzip")
    site.page("/other", zlib.compress(b"short"), Content_Encoding="br")
    site.page("/damaged", b"no gzip at all", Content_Encoding="gzip")
    for path in ("/long", "/bomb"):
        with pytest.raises(UnreadableError, match="larger than 10000 bytes"):
            await fetched(fetcher, site.url + path)
    assert (await fetched(fetcher, f"{site.url}/packed"))[1] == b"short" * 1000
    with pytest.raises(UnreadableError, match="not asked for"):
        await fetched(fetcher, f"{site.url}/other")
    with pytest.raises(UnreadableError, match="damaged"):
        await fetched(fetcher, f"{site.url}/damaged")


def drip(handler: BaseHTTPRequestHandler) -> None:
    """Send a letter now and then, without end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)
    except OSError:
        handler.close_connection = True


async def test_a_site_that_never_ends_is_left(site: Site) -> None:
    site.pages["/drip"] = Page(respond=drip)
    fetcher = Fetcher(inside(fetch_s=0.5))
    with pytest.raises(SourceUnreachable, match="in time"):
        await fetched(fetcher, f"{site.url}/drip")
    await fetcher.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, Gone), (410, Gone), (403, UnreadableError), (401, UnreadableError),
     (429, SourceUnreachable), (500, SourceUnreachable), (503, SourceUnreachable)],
)  # fmt: skip
async def test_a_status_says_whether_a_page_is_gone_refused_or_away(
    site: Site, fetcher: Fetcher, status: int, error: type[Exception]
) -> None:
    site.page("/a", status=status)
    with pytest.raises(error):
        await fetched(fetcher, f"{site.url}/a")


async def test_pictures_and_nobody_listening_are_named(site: Site, fetcher: Fetcher) -> None:
    site.page("/a.png", b"x", Content_Type="image/png")
    with pytest.raises(UnreadableError, match="image/png"):
        await fetched(fetcher, f"{site.url}/a.png")
    with pytest.raises(SourceUnreachable, match="does not answer"):
        await fetched(fetcher, "http://127.0.0.1:1/")


def test_a_packed_file_has_an_end() -> None:
    assert unpacked(gzip.compress(b"abc"), 3) == b"abc"
    with pytest.raises(UnreadableError, match="more than 1000 bytes"):
        unpacked(gzip.compress(bytes(5_000_000)), 1000)
    with pytest.raises(UnreadableError, match="damaged"):
        unpacked(b"nothing", 10)
