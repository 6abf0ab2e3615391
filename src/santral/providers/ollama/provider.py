"""Ollama's own dialect: what its OpenAI endpoint cannot say, above all how long the context is.

Ollama cuts a prompt that is longer than ``num_ctx`` without a word, and its OpenAI endpoint has no
field for it: here ``options`` (with ``num_ctx``) and ``keep_alive`` of a request go through, and a
prompt that does not fit the asked ``num_ctx`` is named among the losses.
Source: https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from santral.providers.connection import Connection
from santral.providers.ollama.answer import OllamaReader
from santral.providers.ollama.request import write_request
from santral.providers.provider import ProviderCall
from santral.providers.translated import TranslatedProvider


class OllamaProvider(TranslatedProvider):
    """Asks an Ollama server in its own dialect."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        root = connection.base_url
        for path in ("/v1", "/api"):  # a configuration written for one of its endpoints
            root = root.removesuffix(path)
        self._url = f"{root}/api/chat"

    def address(self, call: ProviderCall) -> str:
        """Return the chat endpoint: the model is in the body."""
        del call
        return self._url

    def write(self, call: ProviderCall) -> bytes:
        """Return the body of a call."""
        return write_request(call)

    def reader(self, call: ProviderCall, secret: str, created: int) -> OllamaReader:
        """Return what reads the answer."""
        return OllamaReader(call, secret=secret, created=created)
