"""A local server that speaks the transit interface: encrypt and decrypt with associated data.

It keeps keys and versions as Vault does, writes ``vault:v<version>:<base64>`` and refuses with
Vault's statuses: 403 for a token that may not, 400 for a ciphertext that does not open, 404 for a
path without an engine. Source: https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TOKEN = "hvs.test-token"


class TransitServer(ThreadingHTTPServer):
    """One engine at ``/v1/transit``; ``rotate`` makes a new version of its keys."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.versions = [AESGCM.generate_key(256)]
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answer: tuple[int, bytes] | None = None  # in place of the real one
        self.delay_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def rotate(self) -> None:
        self.versions.append(AESGCM.generate_key(256))


class _Handler(BaseHTTPRequestHandler):
    server: TransitServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body))
        time.sleep(self.server.delay_s)
        status, answer = self.server.answer or self._answer(body)
        self.send_response(status)
        if status == 302:
            self.send_header("location", self.server.url + "/elsewhere")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _answer(self, body: dict[str, Any]) -> tuple[int, bytes]:
        if self.headers["x-vault-token"] != TOKEN:
            return 403, b'{"errors":["permission denied"]}'
        place = base64.b64decode(body.get("associated_data", ""))
        match self.path.split("/"):
            case ["", "v1", "transit", "encrypt", "santral"]:
                nonce, number = os.urandom(12), len(self.server.versions)
                key = AESGCM(self.server.versions[-1])
                sealed = nonce + key.encrypt(nonce, base64.b64decode(body["plaintext"]), place)
                text = f"vault:v{number}:{base64.b64encode(sealed).decode()}"
                return 200, json.dumps(
                    {"data": {"ciphertext": text, "key_version": number}}
                ).encode()
            case ["", "v1", "transit", "decrypt", "santral"]:
                return self._decrypt(body["ciphertext"], place)
            case _:
                return 404, b'{"errors":[]}'

    def _decrypt(self, text: str, place: bytes) -> tuple[int, bytes]:
        try:
            _, version, sealed = text.split(":")
            raw = base64.b64decode(sealed, validate=True)
            key = AESGCM(self.server.versions[int(version[1:]) - 1])
            plain = key.decrypt(raw[:12], raw[12:], place)
        except (ValueError, IndexError, InvalidTag):
            return 400, b'{"errors":["cipher: message authentication failed"]}'
        return 200, json.dumps({"data": {"plaintext": base64.b64encode(plain).decode()}}).encode()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running_transit() -> Generator[TransitServer]:
    """Run a server until the block ends."""
    server = TransitServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
