"""A real redis-server on a free port in a temporary folder, for tests marked ``redis``."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MISSING = "redis-server is missing; install it with: apt-get install -y redis-server"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class RedisServer:
    """One server; ``pause`` stops it from answering without closing a connection."""

    def __init__(self, folder: Path, *options: str) -> None:
        program = shutil.which("redis-server")
        if program is None:
            if os.environ.get("CI") == "true":
                pytest.fail(MISSING)
            pytest.skip(MISSING)
        self.port = free_port()
        self._command = [
            program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir",
            str(folder), "--appendonly", "no", "--loglevel", "warning", *options,
        ]  # fmt: skip
        self._process = self._start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.resume()
        self._process.kill()
        self._process.wait(5)

    def restart(self) -> None:
        self.stop()
        self._process = self._start()

    def ask(self, *parts: bytes | str) -> bytes:
        """Send one command; return what came back, undecoded."""
        words = [part.encode() if isinstance(part, str) else part for part in parts]
        message = b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)
        with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
            connection.sendall(message)
            return connection.recv(65536)

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 5
        while True:
            try:
                assert self.ask("PING") == b"+PONG\r\n"
            except OSError:
                if time.monotonic() > deadline:
                    process.kill()
                    process.wait(5)
                    raise AssertionError("redis-server does not answer") from None
                time.sleep(0.01)
            else:
                return process


@contextmanager
def redis_server(folder: Path, *options: str) -> Iterator[RedisServer]:
    server = RedisServer(folder, *options)
    try:
        yield server
    finally:
        server.stop()
