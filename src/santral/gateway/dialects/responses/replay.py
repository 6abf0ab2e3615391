"""A kept response told again as a stream: the same items under the same ids, in fewer pieces."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from santral.gateway.dialects.responses.events import Events
from santral.gateway.dialects.responses.logprobs import read_logprobs
from santral.gateway.dialects.responses.output import Output
from santral.gateway.dialects.responses.state import Kept
from santral.providers.responses.answer import ResponsesReader

_fields = msgspec.json.Decoder(dict[str, Raw])
_text = msgspec.json.Decoder(str)

#: What is not known yet when a response begins.
_OPENING: dict[str, Any] = {
    "status": "in_progress",
    "completed_at": None,
    "incomplete_details": None,
    "output": [],
    "usage": None,
}


def replay(kept: Kept, starting_after: int) -> bytes:
    """Return the events of a kept response; those up to the number ``starting_after`` are left out."""
    fields = _fields.decode(kept.response)
    status, name = _text.decode(fields["status"]), _text.decode(fields["id"])
    events = Events(is_streaming=True, starting_after=starting_after)
    for kind in ("response.created", "response.in_progress"):
        events.send(kind, {"response": {**fields, **_OPENING}})
    output = Output(name.removeprefix("resp_"), events)
    for delta in ResponsesReader().read_whole(bytes(kept.response)):
        for choice in delta.choices:
            output.add(choice, read_logprobs(choice.logprobs))
    output.end("incomplete" if status == "incomplete" else "completed")
    events.send(f"response.{status}", {"response": kept.response})
    return events.take()
