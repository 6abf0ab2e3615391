"""Clients that notice everything: kept-alive connections, no retries, every answer read to its end."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

from tests.journeys.conftest import Santral
from tests.stream_checker import check_chat_stream


class Load:
    """Runs clients in threads until it is left; ``faults`` is what any of them noticed."""

    def __init__(self, santral: Santral) -> None:
        self.santral = santral
        self.faults: list[str] = []
        self.done: Counter[str] = Counter()
        self.told_to_close = 0
        self.slowest_s = 0.0
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.started_at = time.monotonic()

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(90)
        assert not any(thread.is_alive() for thread in self._threads), "a client waits for ever"

    def closed_loop(self, count: int) -> None:
        """Clients that ask again as soon as they have their answer."""
        self._start(count, "whole", lambda rng, connection: self._whole(connection))

    def now_and_then(self, count: int, most_s: float) -> None:
        """Clients whose connection is idle for up to so long between two requests."""

        def ask(rng: random.Random, connection: http.client.HTTPConnection) -> None:
            self._is_over.wait(rng.uniform(0, most_s))
            self._whole(connection)

        self._start(count, "idle", ask)

    def streams(self, count: int) -> None:
        """Clients that read paced streams of some 0.6 s to their end."""
        self._start(count, "stream", lambda rng, connection: self._stream(connection))

    def uploads(self, count: int) -> None:
        """Clients that send a file in pieces over half a second."""
        self._start(count, "upload", lambda rng, connection: self._upload(connection))

    def _start(self, count: int, kind: str, ask: Any) -> None:
        for number in range(count):
            args = (kind, random.Random(number), ask)
            thread = threading.Thread(target=self._ask_on_and_on, args=args, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _ask_on_and_on(self, kind: str, rng: random.Random, ask: Any) -> None:
        address = urlsplit(self.santral.gateway).netloc
        connection = http.client.HTTPConnection(address, timeout=60)
        while not self._is_over.is_set():
            start = time.monotonic()
            try:
                ask(rng, connection)
            except (OSError, http.client.HTTPException, AssertionError) as error:
                at = time.monotonic() - self.started_at
                self.faults.append(f"{at:.2f} s {kind}: {error!r}"[:400])
                connection.close()
            else:
                self.done[kind] += 1
                if kind == "whole":
                    self.slowest_s = max(self.slowest_s, time.monotonic() - start)
        connection.close()

    def _whole(self, connection: http.client.HTTPConnection) -> None:
        body = self.santral.chat("calm-ok")
        assert b"choices" in self._ask(
            connection, "/v1/chat/completions", json.dumps(body).encode()
        )

    def _stream(self, connection: http.client.HTTPConnection) -> None:
        body = self.santral.chat("calm-paced", "word " * 40, stream=True)
        answer = self._ask(connection, "/v1/chat/completions", json.dumps(body).encode())
        assert "finish_reason" in json.dumps(check_chat_stream(answer)[-1])

    def _upload(self, connection: http.client.HTTPConnection) -> None:
        line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions"}
        content = json.dumps(line | {"body": self.santral.chat("calm-ok")}).encode() + b"\n"
        head = (
            b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        )
        whole = head + content + b"\r\n--x--\r\n"
        connection.putrequest("POST", "/v1/files")
        connection.putheader("authorization", f"Bearer {self.santral.key}")
        connection.putheader("content-type", "multipart/form-data; boundary=x")
        connection.putheader("content-length", str(len(whole)))
        connection.endheaders()
        for at in range(0, len(whole), 50):
            connection.send(whole[at : at + 50])
            time.sleep(0.05)
        assert b'"file-' in self._answer(connection)

    def _ask(self, connection: http.client.HTTPConnection, path: str, body: bytes) -> bytes:
        headers = {
            "authorization": f"Bearer {self.santral.key}",
            "content-type": "application/json",
        }
        connection.request("POST", path, body, headers)
        return self._answer(connection)

    def _answer(self, connection: http.client.HTTPConnection) -> bytes:
        response = connection.getresponse()
        self.told_to_close += response.headers.get("connection") == "close"
        answer = response.read()
        assert response.status == 200, f"{response.status} {answer!r}"
        return answer
