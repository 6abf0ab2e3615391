"""A provider on a real socket that answers with recordings and remembers what it was asked.

    with Replay() as replay:
        replay.will("/v1/messages", recording("anthropic/text.sse"))
        ...  # call replay.base_url + "/v1/messages"
        assert replay.asked[-1].json["model"] == "claude"

A path's recordings are served in order, the last one again and again. What no recording was given
for is a 404, so a wrong path is seen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"

_TYPES = {
    ".json": "application/json",
    ".sse": "text/event-stream; charset=utf-8",
    ".ndjson": "application/x-ndjson",
    ".bin": "application/vnd.amazon.eventstream",
    ".txt": "text/plain",
}


@dataclass(frozen=True)
class Recording:
    """One answer; its body leaves in pieces of ``piece`` bytes, whole if that is 0."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    piece: int = 0
    is_cut: bool = False  # close the connection without the end of the body

    def but(self, **changes: Any) -> Recording:
        return replace(self, **changes)


def recording(name: str, **changes: Any) -> Recording:
    """The answer in ``tests/recordings/<name>``; its type follows from its suffix."""
    file = RECORDINGS / name
    return Recording(file.read_bytes(), content_type=_TYPES[file.suffix]).but(**changes)


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Replay:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._scripts: dict[str, list[Recording]] = {}
        self._lock = threading.Lock()  # protects scripts and asked against handler threads
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=lambda: self._server.serve_forever(poll_interval=0.01), daemon=True
        )

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def will(self, path: str, *recordings: Recording) -> None:
        """Answer calls of ``path`` (without its query) with these, in order."""
        with self._lock:
            self._scripts[path] = [*recordings]

    def reset(self) -> None:
        with self._lock:
            self._scripts.clear()
            self.asked.clear()

    def __enter__(self) -> Replay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer_to(self, asked: Asked) -> Recording:
        with self._lock:
            self.asked.append(asked)
            script = self._scripts.get(asked.path)
            if not script:
                return Recording(b'{"error":"no recording"}', status=404)
            return script.pop(0) if len(script) > 1 else script[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        replay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                path, _, query = self.path.partition("?")
                size = int(self.headers.get("content-length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(size)
                self._send(replay._answer_to(Asked(self.command, path, query, headers, body)))

            def _send(self, made: Recording) -> None:
                self.send_response(made.status)
                self.send_header("content-type", made.content_type)
                for name, value in made.headers.items():
                    self.send_header(name, value)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                size = made.piece or max(1, len(made.body))
                try:
                    for at in range(0, len(made.body), size):
                        self._chunk(made.body[at : at + size])
                    if made.is_cut:
                        self.close_connection = True
                    else:
                        self._chunk(b"")
                except ConnectionError:  # the client left, as it may
                    self.close_connection = True

            def _chunk(self, data: bytes) -> None:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
                self.wfile.flush()

            do_POST = do_GET = do_DELETE = do_PUT = _serve  # noqa: N815 - named by http.server

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing: a test says what went wrong."""

        return Handler
