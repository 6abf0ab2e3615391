"""A hub on this machine: models in the file layout of the real one, on a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from aiohttp import web


class Hub:
    """Serves ``models``: files of each by name. ``cut`` names a file that breaks off in the middle."""

    def __init__(self, models: Mapping[str, Mapping[str, bytes]]) -> None:
        self.models = models
        self.cut = ""
        self.damaged = ""
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        self.card: dict[str, Any] = {"license": "mit", "language": ["en"]}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Hub:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _start(self) -> str:
        app = web.Application()
        app.router.add_get("/api/models/{owner}/{name}", self._about)
        app.router.add_get("/{owner}/{name}/resolve/{revision}/{file:.*}", self._file)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _about(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("authorization", ""))
        found = self.models.get("{owner}/{name}".format(**request.match_info))
        if found is None:
            return web.json_response({"error": "Repository not found"}, status=404)
        siblings = [{"rfilename": name} for name in found]
        return web.json_response({"sha": "a" * 40, "siblings": siblings, "cardData": self.card})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        self.asked.append(name)
        content = self.models["{owner}/{name}".format(**request.match_info)][name]
        answer = web.StreamResponse(headers={"X-Linked-Etag": f'"{sha256(content).hexdigest()}"'})
        answer.content_length = len(content)
        await answer.prepare(request)
        if name == self.cut:
            await answer.write(content[: len(content) // 2])
            assert request.transport is not None
            request.transport.abort()
            return answer
        await answer.write(content[::-1] if name == self.damaged else content)
        return answer
