"""A provider on a real socket that answers each path with what it was given, and keeps what it saw."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

#: What a path answers: bytes, or a function of the request's body; a number alone is a status.
Answer = bytes | int | Callable[[Any], bytes | int]


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any


class TaskUpstream:
    """Answers every path with its bytes; a path that was given none gets 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> TaskUpstream:
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def reset(self) -> None:
        self.answers.clear()
        self.asked.clear()
        self.most_at_once = 0

    async def _start(self) -> str:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{port}"

    async def _answer(self, request: web.Request) -> web.Response:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            body = json.loads(await request.read())
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.asked.append(Asked(request.path_qs, headers, body))
            await asyncio.sleep(0)
            answer = self.answers.get(request.path_qs, 404)
            given = answer(body) if callable(answer) else answer
            if isinstance(given, int):
                return web.json_response({"error": {"message": "no"}}, status=given)
            return web.Response(body=given, content_type="application/json")
        finally:
            self._open -= 1
