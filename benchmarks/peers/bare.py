"""uvicorn and aiohttp with nothing between them: what this machine's Python pays for the sockets alone."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import ClassVar

from benchmarks.cpu import process_tree
from benchmarks.peers.peer import Place, Running, Target, free_port
from benchmarks.script import EVENTS
from benchmarks.tools import HERE


class Bare:
    name: ClassVar[str] = "bare"
    is_heavy: ClassVar[bool] = False

    def missing(self) -> str | None:
        return None

    def install(self) -> None:
        return None

    def start(self, place: Place) -> Running:
        port = free_port()
        argv = [
            sys.executable, "-m", "uvicorn", "benchmarks.peers.bare_app:app", "--host", "127.0.0.1",
            "--port", str(port), "--loop", "uvloop", "--http", "httptools", "--lifespan", "off",
            "--no-access-log", "--no-server-header", "--log-level", "warning", "--app-dir", str(HERE.parent),
        ]  # fmt: skip
        env = {"BENCH_UPSTREAM": place.upstream.base_url}
        started = place.start("bare", argv, port, env=env, cwd=place.folder)

        def pids() -> list[int]:
            return process_tree(started.child.pid)

        version = f"uvicorn {importlib.metadata.version('uvicorn')}, aiohttp {importlib.metadata.version('aiohttp')}"
        target = Target(
            "bare python", port, "scripted", pids, pids, version=version,
            features="plain proxy in Python: no keys, no JSON, no record",
            events=EVENTS,
        )  # fmt: skip
        return Running([target], started.child, started.began)
