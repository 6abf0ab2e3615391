"""What the gateway asks of every provider: one call in, deltas out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from msgspec import Struct

from santral.config.schema import TimeoutsConfig
from santral.wire.delta import Delta, Source


class ProviderCall(Struct, kw_only=True):
    """One call to one model, already composed: what is sent and how long it may take.

    ``fields`` are the top-level fields of the chat request without ``santral``, raw slices where no
    stage changed them; ``messages`` is a list of raw slices or dicts. A provider never changes them:
    the next deployment of the ladder gets the same call.
    """

    model: str
    fields: dict[str, Any]
    is_streaming: bool
    timeouts: TimeoutsConfig
    question: str = ""
    sources: tuple[Source, ...] = ()
    traceparent: str = ""
    max_output_tokens: int | None = None  # upper bound of the output, whatever the fields say


class Provider(Protocol):
    """A vendor or engine that answers calls in its own dialect."""

    def stream(self, call: ProviderCall) -> AsyncGenerator[Delta]:
        """Yield the answer: one whole delta, or the deltas of a stream with usage in the last.

        Every answer reports usage, estimated and marked so where the provider gives none. In a
        stream every choice's first delta carries its role, and ``raw`` has no usage beside choices.
        Closing the generator closes the connection to the provider at once.

        Raises:
            ProviderError: its subclass says what failed and whether another deployment may help.
        """
        ...
