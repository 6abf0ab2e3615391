"""Bad input over real sockets, in every dialect: a code and a remedy, no upstream call, a trace."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.journeys.conftest import Santral
from tests.upstream import Upstream

pytestmark = pytest.mark.journey


def _openai(answer: Any) -> tuple[str, str]:
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    return answer["error"]["code"], answer["error"]["message"]


def _anthropic(answer: Any) -> tuple[str, str]:
    assert answer["type"] == "error"
    return answer["error"]["code"], answer["error"]["message"]


def _google(answer: Any) -> tuple[str, str]:
    error = answer["error"]
    return error["details"][0]["reason"].lower(), error["message"]


@dataclass(frozen=True)
class Form:
    """How one endpoint is asked: its path, a sound body, one with an address, and its errors."""

    name: str
    path: str
    body: Callable[[str], dict[str, Any]]
    wrong: dict[str, Any]  # a field of a wrong type
    read: Callable[[Any], tuple[str, str]] = _openai
    with_url: Callable[[str, str], dict[str, Any]] | None = None


def _chat(route: str, *parts: dict[str, Any]) -> dict[str, Any]:
    content: Any = [{"type": "text", "text": "Hi"}, *parts] if parts else "Hi"
    return {"model": route, "messages": [{"role": "user", "content": content}]}


def _responses(route: str, *parts: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "input_text", "text": "Hi"}, *parts]
    return {"model": route, "input": [{"role": "user", "content": content}]}


def _messages(route: str, *parts: dict[str, Any]) -> dict[str, Any]:
    content = [{"type": "text", "text": "Hi"}, *parts]
    return {"model": route, "max_tokens": 9, "messages": [{"role": "user", "content": content}]}


def _gemini(route: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "Hi"}, *parts]}]}


FORMS = [
    Form(
        "chat", "/v1/chat/completions", _chat, {"messages": 7},
        with_url=lambda route, url: _chat(
            route, {"type": "image_url", "image_url": {"url": url}}
        ),
    ),
    Form(
        "chat-file", "/v1/chat/completions", _chat, {"messages": [7]},
        with_url=lambda route, url: _chat(route, {"type": "file", "file": {"file_url": url}}),
    ),
    Form(
        "chat-video", "/v1/chat/completions", _chat, {"temperature": {}, "n": "1"},
        with_url=lambda route, url: _chat(
            route, {"type": "video_url", "video_url": {"url": url}}
        ),
    ),
    Form(
        "completions", "/v1/completions", lambda route: {"model": route, "prompt": "Hi"},
        {"prompt": {"text": "Hi"}},
    ),
    Form(
        "responses", "/v1/responses", _responses, {"input": 7},
        with_url=lambda route, url: _responses(
            route, {"type": "input_image", "image_url": url}
        ),
    ),
    Form(
        "responses-file", "/v1/responses", _responses, {"input": [{"role": "user", "content": 7}]},
        with_url=lambda route, url: _responses(route, {"type": "input_file", "file_url": url}),
    ),
    Form(
        "messages", "/v1/messages", _messages, {"messages": 7}, _anthropic,
        lambda route, url: _messages(
            route, {"type": "image", "source": {"type": "url", "url": url}}
        ),
    ),
    Form(
        "messages-document", "/v1/messages", _messages, {"max_tokens": "many"}, _anthropic,
        lambda route, url: _messages(
            route, {"type": "document", "source": {"type": "url", "url": url}}
        ),
    ),
    Form(
        "gemini", "/v1beta/models/{route}:generateContent", _gemini, {"contents": 7}, _google,
        lambda route, url: _gemini(
            route, {"fileData": {"fileUri": url, "mimeType": "image/png"}}
        ),
    ),
    Form(
        "embeddings", "/v1/embeddings", lambda route: {"model": route, "input": "Hi"},
        {"input": {}},
    ),
    Form(
        "rerank", "/v1/rerank",
        lambda route: {"model": route, "query": "q", "documents": ["a"]}, {"documents": "a"},
    ),
    Form(
        "moderations", "/v1/moderations", lambda route: {"model": route, "input": "Hi"},
        {"input": 7},
        with_url=lambda route, url: {
            "model": route, "input": [{"type": "image_url", "image_url": {"url": url}}],
        },
    ),
]  # fmt: skip
BY_NAME = {form.name: form for form in FORMS}
MAIN = [form for form in FORMS if "-" not in form.name]
EVERY = pytest.mark.parametrize("form", MAIN, ids=lambda form: form.name)


@dataclass(frozen=True)
class Bad:
    """One thing that is wrong, and what has to be said about it."""

    name: str
    status: int
    code: str
    said: str
    make: Callable[[Form], bytes]
    headers: tuple[tuple[str, str], ...] = ()


def _sound(form: Form, route: str = "ok") -> bytes:
    return json.dumps(form.body(route)).encode()


def _with(form: Form, field: bytes) -> bytes:
    return _sound(form)[:-1] + b"," + field + b"}"


BAD = [
    Bad("no JSON", 400, "invalid_json", "valid JSON", lambda f: b'{"model":'),
    Bad("empty", 400, "invalid_json", "valid JSON", lambda f: b""),
    Bad("a list", 400, "invalid_request", "object", lambda f: b"[]"),
    Bad(
        "invalid UTF-8", 400, "invalid_json", "valid JSON",
        lambda f: _with(f, b'"x":"\xff\xfe"'),
    ),
    Bad(
        "half a letter", 400, "invalid_json", "valid JSON", lambda f: _with(f, b'"\\ud800":1')
    ),
    Bad("not a number", 400, "invalid_json", "valid JSON", lambda f: _with(f, b'"x":NaN')),
    Bad("infinite", 400, "invalid_json", "valid JSON", lambda f: _with(f, b'"x":-Infinity')),
    Bad(
        "nested without end", 400, "invalid_json", "valid JSON",
        lambda f: _sound(f)[:-1] + b',"x":' + b"[" * 100_000,
    ),
    Bad(
        "wrong type", 400, "invalid_request", "",
        lambda f: json.dumps(f.body("ok") | f.wrong).encode(),
    ),
    Bad(
        "a picture", 415, "unsupported_media_type", "application/json", _sound,
        (("content-type", "image/png"),),
    ),
    Bad(
        "a form with files", 415, "unsupported_media_type", "application/json", _sound,
        (("content-type", "multipart/form-data; boundary=x"),),
    ),
    Bad(
        "Brotli", 400, "unsupported_encoding", "gzip", _sound, (("content-encoding", "br"),)
    ),
    Bad(
        "no gzip", 400, "unsupported_encoding", "gzip", _sound, (("content-encoding", "gzip"),)
    ),
    Bad(
        "half of a gzip", 400, "unsupported_encoding", "gzip",
        lambda f: gzip.compress(_sound(f))[:-9], (("content-encoding", "gzip"),),
    ),
    Bad(
        "a gzip bomb", 413, "request_too_large", "server.max_body_bytes",
        lambda f: gzip.compress(b" " * 9_000_000, 1), (("content-encoding", "gzip"),),
    ),
    Bad(
        "too large", 413, "request_too_large", "server.max_body_bytes",
        lambda f: b" " * (8 * 1024 * 1024 + 1),
    ),
]  # fmt: skip


def post(
    santral: Santral, form: Form, body: bytes, route: str = "ok", **headers: str
) -> httpx.Response:
    lines = {"authorization": f"Bearer {santral.key}", "content-type": "application/json"}
    with httpx.Client(trust_env=False, timeout=10, verify=False) as client:
        return client.post(
            santral.gateway + form.path.format(route=route),
            content=body,
            headers=lines | {name.replace("_", "-"): value for name, value in headers.items()},
        )


@EVERY
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_input_is_refused_in_the_callers_dialect(
    santral: Santral, upstream: Upstream, form: Form, bad: Bad
) -> None:
    asked = len(upstream.seen)
    answer = post(santral, form, bad.make(form), **dict(bad.headers))
    code, message = form.read(answer.json())
    assert (answer.status_code, code) == (bad.status, bad.code), answer.text
    assert bad.said in message
    assert answer.headers["x-request-id"].startswith("req_")
    assert len(upstream.seen) == asked


@EVERY
def test_a_refusal_leaves_a_trace_that_says_why(santral: Santral, form: Form) -> None:
    for body, code in ((b"{", "invalid_json"), (_sound(form, "okk"), "model_not_found")):
        answer = post(santral, form, body, route="okk")
        if code == "model_not_found":
            assert answer.status_code == 404
            assert "Did you mean 'ok'" in form.read(answer.json())[1]
        trace = santral.trace(answer.headers["x-santral-trace-id"])
        assert trace["error"] == code
        assert trace["status"] == answer.status_code
        assert not trace.get("attempts")


PRIVATE = [
    "http://127.0.0.1/a.png",
    "http://localhost:8080/",
    "http://10.1.2.3/",
    "http://172.20.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fd12::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://redis:6379/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1%2f@example.com/",
    "http://example.com\\@127.0.0.1/",
    "file:///etc/passwd",
    "ftp://example.com/a",
    "//127.0.0.1/a.png",
]


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_goes_to_no_provider(
    santral: Santral, upstream: Upstream, url: str
) -> None:
    asked = len(upstream.seen)
    form = BY_NAME["chat"]
    assert form.with_url is not None
    answer = post(santral, form, json.dumps(form.with_url("ok", url)).encode())
    assert form.read(answer.json())[0] == "private_url", answer.text
    assert "data:" in form.read(answer.json())[1]
    assert len(upstream.seen) == asked


@pytest.mark.parametrize(
    "form", [form for form in FORMS if form.with_url], ids=lambda form: form.name
)
def test_no_dialect_carries_a_private_address(
    santral: Santral, upstream: Upstream, form: Form
) -> None:
    assert form.with_url is not None
    asked = len(upstream.seen)
    for url in ("http://169.254.169.254/latest/", "file:///etc/passwd"):
        body = json.dumps(form.with_url("ok", url))
        for spelled in (body, body.replace("url", "\\u0075rl").replace("Uri", "\\u0055ri")):
            answer = post(santral, form, spelled.encode())
            code, _ = form.read(answer.json())
            assert answer.status_code == 400, answer.text
            assert code in ("private_url", "invalid_request"), answer.text
    answer = post(santral, form, json.dumps(form.with_url("ok", "http://10.0.0.1/")).encode())
    assert form.read(answer.json())[0] == "private_url", answer.text
    trace = santral.trace(answer.headers["x-santral-trace-id"])
    assert trace["error"] == "private_url"
    assert len(upstream.seen) == asked


def test_public_addresses_and_data_pass(santral: Santral, upstream: Upstream) -> None:
    form = BY_NAME["chat"]
    assert form.with_url is not None
    for url in ("https://example.com/a.png?x=1", "data:image/png;base64,AAAA", "gs://b/a.png"):
        answer = post(santral, form, json.dumps(form.with_url("ok", url)).encode())
        assert answer.status_code == 200, answer.text
        assert upstream.seen[-1].body["messages"][0]["content"][1]["image_url"]["url"] == url


def test_an_operator_may_allow_private_addresses(
    own_santral: Callable[..., Santral], upstream: Upstream
) -> None:
    running = own_santral(env={"SANTRAL_SERVER__ALLOW_PRIVATE_URLS": "true"})
    form = BY_NAME["chat"]
    assert form.with_url is not None
    body = json.dumps(form.with_url("ok", "http://10.0.0.1/a.png")).encode()
    assert post(running, form, body).status_code == 200


@pytest.mark.parametrize("name", ["chat", "completions"])
def test_a_gzip_body_is_unpacked(santral: Santral, upstream: Upstream, name: str) -> None:
    form = BY_NAME[name]
    for packed in (
        gzip.compress(_sound(form)),
        gzip.compress(_sound(form)[:9]) + gzip.compress(_sound(form)[9:]),
        gzip.compress(_sound(form)[:-1] + b" " * 200_000 + b"}"),
    ):
        assert post(santral, form, packed, content_encoding="gzip").status_code == 200
    assert upstream.seen[-1].body["messages"][0]["content"] == "Hi"


def test_of_a_field_given_twice_the_last_one_counts(santral: Santral, upstream: Upstream) -> None:
    """Checks, routing and provider all see the same one: the first never leaves."""
    body = (
        b'{"model":"nope","model":"ok","messages":[{"role":"user","content":"first"}],'
        b'"messages":[{"role":"user","content":"second"}],"temperature":1,"temperature":0}'
    )
    assert post(santral, BY_NAME["chat"], body).status_code == 200
    assert b"first" not in upstream.seen[-1].raw
    assert upstream.seen[-1].raw.count(b"temperature") == 1
    assert upstream.seen[-1].body["temperature"] == 0


def test_huge_numbers_do_no_harm(santral: Santral) -> None:
    form = BY_NAME["chat"]
    for field in (b'"max_tokens":1e400', b'"n":' + b"9" * 400, b'"max_tokens":1.5'):
        answer = post(santral, form, _with(form, field))
        assert form.read(answer.json())[0] == "invalid_request", answer.text
    assert post(santral, form, _with(form, b'"seed":' + b"9" * 400)).status_code == 200


def talk(santral: Santral, data: bytes, *, ends: bool = False) -> bytes:
    """Send bytes as they are and return all that comes back until the other side hangs up."""
    address = urlsplit(santral.gateway)
    with socket.create_connection((address.hostname, address.port), timeout=5) as sock:
        sock.sendall(data)
        if ends:
            sock.shutdown(socket.SHUT_WR)
        answer = b""
        while more := sock.recv(65536):
            answer += more
        return answer


def head(santral: Santral, *lines: str) -> bytes:
    fixed = ["POST /v1/chat/completions HTTP/1.1", "host: x", "connection: close"]
    sign = f"authorization: Bearer {santral.key}"
    return "\r\n".join([*fixed, sign, *lines, "", ""]).encode()


@pytest.mark.parametrize(
    "lines",
    [
        ("content-length: 10", "content-length: 20"),
        ("content-length: -1",),
        ("content-length: ten",),
        ("content-length: 10", "transfer-encoding: chunked"),
        ("no colon here",),
    ],
    ids=lambda lines: lines[-1],
)
def test_what_is_no_http_is_refused_in_json(
    santral: Santral, upstream: Upstream, lines: tuple[str, ...]
) -> None:
    asked = len(upstream.seen)
    answer = talk(santral, head(santral, *lines) + b"{}")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    assert body["error"]["code"] == "malformed_http"
    assert len(upstream.seen) == asked


def test_a_body_longer_than_it_says_is_cut_there(santral: Santral, upstream: Upstream) -> None:
    """What follows is read as another request, is none, and changes nothing."""
    asked = len(upstream.seen)
    body = _sound(BY_NAME["chat"])
    answer = talk(santral, head(santral, f"content-length: {len(body) - 5}") + body)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"invalid_json"' in answer
    assert len(upstream.seen) == asked


def test_a_body_shorter_than_it_says_is_no_request(santral: Santral, upstream: Upstream) -> None:
    asked = len(upstream.seen)
    body = _sound(BY_NAME["chat"])
    answer = talk(santral, head(santral, f"content-length: {len(body) + 5}") + body, ends=True)
    assert b"200 OK" not in answer
    assert len(upstream.seen) == asked
    assert santral.post(santral.chat("ok"))[0] == 200
