"""What is a private address, in every spelling that a server would follow."""

from __future__ import annotations

import json
import time
from ipaddress import IPv4Address, IPv6Address
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gateway.worker import Worker

from santral.errors import BadRequest
from santral.gateway.private_url import refuse_private_urls, why_private
from santral.web.address import is_public

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
127.0.0.1/x 169.254.169.254/latest/a.png /etc/a.png ../x.png \\\\127.0.0.1\\x localhost:80
http://[64:ff9b:1:a00:0:100:808:808]/ http://[::ffff:0:127.0.0.1]/ http://[fec0::1]/
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


@pytest.mark.parametrize(
    "sign", ["\x01", "\x00", "\n", "\ufeff", "\u200b", "\xad", "\x85"], ids=ascii
)
@pytest.mark.parametrize("url", ["http://127.0.0.1/", "//10.0.0.1/", "file:///etc/passwd"])
def test_what_clients_take_out_of_an_address_hides_nothing(url: str, sign: str) -> None:
    for at in range(len(url)):
        assert why_private(url[:at] + sign + url[at:]), at


def test_length_hides_nothing_and_costs_little() -> None:
    content = "QUJD" * 2_000_000
    began = time.perf_counter()
    assert why_private(content) == ""
    assert why_private("\x01" * 8_000_000 + "http://10.0.0.1/")
    assert why_private("http://example.com/" + content)
    assert why_private(" " * 16_380 + "http://10.0.0.1/")
    assert time.perf_counter() - began < 0.1


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


INSIDE = "http://10.0.0.1/"


def test_a_million_texts_are_stepped_over(worker: Worker) -> None:
    ctx: Any = SimpleNamespace(snapshot=worker.process.current.snapshot)
    texts = ["a"] * 1_000_000
    began = time.perf_counter()
    refuse_private_urls(ctx, [texts])
    assert time.perf_counter() - began < 0.5
    with pytest.raises(BadRequest):
        refuse_private_urls(ctx, [{"input": [*texts[:9], {"image_url": [INSIDE]}]}])


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": INSIDE}},
        {"type": "image_url", "Image_URL": {"URL": INSIDE}},
        {"type": "document_url", "document_url": INSIDE},
        {"type": "text", "text": "hi", "image_url": {"url": INSIDE}},
        {"type": "native", "dialect": "responses", "block": {"server_url": INSIDE}},
        {"type": "video_url", "video\u005furl": {"\u0075rl": INSIDE}},
        {"type": "file", "file": {"file_data": INSIDE}},
    ],
    ids=str,
)
def test_no_part_of_a_message_leads_a_provider_inside(worker: Worker, part: dict[str, Any]) -> None:
    assert worker.ask(content=[part]).error["code"] == "private_url"
    message = {"role": "tool", "tool_call_id": "1", "content": [part]}
    answer = worker.post(json.dumps({"model": "plain", "messages": [message]}).encode())
    assert answer.error["code"] == "private_url"
    assert worker.provider.asked == []


MCP = {"type": "mcp", "server_label": "x", "server_url": INSIDE}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("chat/completions", {"tools": [MCP]}),
        (
            "chat/completions",
            {"tools": [{"type": "native", "dialect": "responses", "block": MCP}]},
        ),
        ("responses", {"input": "x", "tools": [MCP]}),
        (
            "messages",
            {"max_tokens": 9, "tools": [{"type": "mcp_2026", "name": "x", "url": INSIDE}]},
        ),
        ("messages", {"max_tokens": 9, "mcp_servers": [{"type": "url", "url": INSIDE}]}),
    ],
)
def test_no_tool_of_a_provider_leads_it_inside(
    worker: Worker, path: str, fields: dict[str, Any]
) -> None:
    messages = {"messages": [{"role": "user", "content": "x"}]} if path != "responses" else {}
    body = json.dumps({"model": "plain", **messages, **fields}).encode()
    answer = worker.post(body, path=f"/v1/{path}")
    assert answer.status == 400
    assert b"10.0.0.1" in answer.body
    assert worker.provider.asked == []


def test_a_function_may_have_an_address_in_its_schema(worker: Worker) -> None:
    schema = {"type": "object", "properties": {"url": {"default": "http://localhost"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema}}
    assert worker.ask(tools=[tool]).status == 200
