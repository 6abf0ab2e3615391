"""A real site on this machine: pages with headers and statuses as a test says, and what was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Respond = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Page:
    """What is answered: ``respond`` writes it itself, where given."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    respond: Respond | None = None


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]


class Site:
    """Pages by path; ``url`` is where it listens."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, path: str, body: str | bytes = b"", status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("Content-Type", "text/html; charset=utf-8")
        content = body if isinstance(body, bytes) else body.encode()
        self.pages[path] = Page(content, status, named)

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(Asked(handler.path, dict(handler.headers.items())))
        page = self.pages.get(handler.path, Page(b"not here", 404))
        if page.respond is not None:
            page.respond(handler)
            return
        etag = page.headers.get("ETag")
        is_same = etag is not None and handler.headers.get("If-None-Match") == etag
        since = page.headers.get("Last-Modified")
        is_same |= since is not None and handler.headers.get("If-Modified-Since") == since
        body = b"" if is_same else page.body
        handler.send_response(304 if is_same else page.status)
        for name, value in page.headers.items():
            handler.send_header(name, value)
        if not is_same:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            site.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("0.0.0.0", 0), Handler)  # 127.0.0.2 is another host
    server.daemon_threads = True
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
