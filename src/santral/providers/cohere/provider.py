"""Cohere's own dialect, chat version 2: documents and citations, tool plans, billed units.

Source: https://docs.cohere.com/v2/reference/chat and the types of cohere 7.3.1.
"""

from __future__ import annotations

from santral.providers.cohere.answer import CohereReader
from santral.providers.cohere.request import write_request
from santral.providers.connection import Connection
from santral.providers.provider import ProviderCall
from santral.providers.translated import TranslatedProvider


class CohereProvider(TranslatedProvider):
    """Asks Cohere in its own dialect."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        root = connection.base_url
        for path in ("/v1", "/v2"):
            root = root.removesuffix(path)
        self._url = f"{root}/v2/chat"

    def address(self, call: ProviderCall) -> str:
        """Return the chat endpoint: the model is in the body."""
        del call
        return self._url

    def write(self, call: ProviderCall) -> bytes:
        """Return the body of a call."""
        return write_request(call)

    def reader(self, call: ProviderCall, secret: str, created: int) -> CohereReader:
        """Return what reads the answer."""
        return CohereReader(call, secret=secret, created=created)
