"""The grammar of a legacy completion's stream: what every client of it relies on."""

from __future__ import annotations

import json
from typing import Any


def check_completion_stream(data: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, or fail where one breaks the grammar.

    Every choice: texts, one end, nothing after it; one identity for all; usage, if at all, last and
    alone; then ``[DONE]``.
    """
    blocks = data.decode().split("\n\n")
    assert blocks[-1] == "", "the stream ends inside an event"
    assert blocks[-2] == "data: [DONE]", blocks[-2]
    events: list[dict[str, Any]] = [
        json.loads(block.removeprefix("data: ")) for block in blocks[:-2]
    ]
    assert all(block.startswith("data: ") for block in blocks[:-2])
    assert len({(e["id"], e["model"], e["created"]) for e in events}) == 1
    ended: set[int] = set()
    for place, event in enumerate(events):
        assert event["object"] == "text_completion"
        if not event["choices"]:
            assert event["usage"] is not None
            assert place == len(events) - 1, "something follows the usage"
        for choice in event["choices"]:
            assert set(choice) == {"text", "index", "logprobs", "finish_reason"}
            assert choice["index"] not in ended, "a choice goes on after its end"
            if choice["finish_reason"] is not None:
                ended.add(choice["index"])
    said = {choice["index"] for event in events for choice in event["choices"]}
    assert said == ended, "a choice has no end"
    return events
