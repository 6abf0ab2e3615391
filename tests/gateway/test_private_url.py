"""What is a private address, in every spelling that a server would follow."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.gateway.private_url import is_public, why_private

PRIVATE = """
http://127.0.0.1/a HTTP://LOCALHOST:8080 http://10.0.0.1 http://172.16.3.4 http://192.168.1.1
http://169.254.169.254/latest http://[::1]/ http://[fe80::1]/ http://[fe80::1%25eth0]/
http://[::ffff:127.0.0.1]/ http://[fd00::1]/ http://2130706433/ http://0177.0.0.1/ http://0x7f.1/
http://127.1/ file:///etc/passwd FILE:/etc/passwd ftp://x.com http://metadata.google.internal/
http://redis:6379 http://127.0.0.1.:80/ //127.0.0.1/x http://public@127.0.0.1/
http://127.0.0.1%2f@example.com/ http://127%2e0.0.1/ http://127\u30020\u30020\u30021/
http://\u2460\u2461\u2466.0.0.1/ http://good.com\\@127.0.0.1/ http://[64:ff9b::7f00:1]/
http://[2002:7f00:1::]/ http://0/ http://0.0.0.0/ http://100.64.0.1/ http://224.0.0.1 http:///x
gopher://x.com http://[::]/ http://[::7f00:1]/ http:127.0.0.1 https:/127.0.0.1/x
http://printer.local http://a.b.svc/ http://[::1 http://ex*mple.com/ jar:http://x.com!/
"""
PUBLIC = """
https://example.com/a.png https://8.8.8.8/x data:image/png;base64,AAA gs://b/x s3://b/x file-abc123
https://[2606:4700::1111]/ https://b\u00fccher.example.com/ iVBORw0KGgo= //example.com/a
https://storage.googleapis.com/a%20b?x=http://10.0.0.1 https://example.com:8443/ Data:text/plain,hi
"""


@pytest.mark.parametrize("url", PRIVATE.split())
def test_a_private_address_is_told_in_any_spelling(url: str) -> None:
    assert why_private(url)


@pytest.mark.parametrize("url", PUBLIC.split())
def test_a_public_address_is_none_of_them(url: str) -> None:
    assert why_private(url) == ""


def _spellings(address: IPv4Address) -> list[str]:
    a, b, c, d = address.packed
    return [
        str(address),
        str(int(address)),
        hex(int(address)),
        f"0{int(address):o}",
        f"{a}.{(b << 16) + (c << 8) + d}",
        f"{hex(a)}.{b}.0{c:o}.{d}",
        f"[::ffff:{address}]",
        f"[64:ff9b::{address}]",
        f"{address}.",
        f"%{ord(str(address)[0]):x}{str(address)[1:]}",
    ]


@given(st.ip_addresses(v=4))
def test_every_spelling_of_an_address_is_judged_alike(address: IPv4Address) -> None:
    judged = {bool(why_private(f"http://{host}/")) for host in _spellings(address)}
    assert judged == {not is_public(address)}


@given(st.ip_addresses(v=6))
def test_no_local_address_is_public(address: IPv6Address) -> None:
    if address.is_private or address.is_link_local or address.is_loopback:
        assert not is_public(address)
