"""The grammar of an OpenAI Responses stream, checked on every one that a test sees.

Every event is held against the types of the official SDK, strictly. Source:
https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TERMINALS = {"response.completed", "response.incomplete", "response.failed"}


def check_response(body: dict[str, Any]) -> Response:
    """Assert that ``body`` is a response object with every field that the SDK's types need."""
    return Response.model_validate(body, strict=True)


def check_responses_stream(raw: bytes) -> list[dict[str, Any]]:
    """Assert that ``raw`` is one well-formed stream; return its events.

    Names equal types, numbers count up from 0, created and in_progress come first and one terminal
    event last. Items open once, in order, and close before the next one opens; deltas add up to what
    the ``done`` events and the items say; the terminal event holds the very same items.
    """
    events = [_event(block) for block in _blocks(raw)]
    assert events, "the stream is empty"
    for number, event in enumerate(events):
        assert event["sequence_number"] == number, "sequence numbers do not count up from 0"
        _EVENTS.validate_python(event, strict=True)
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"], kinds[:2]
    assert kinds[-1] in TERMINALS, f"the stream ends with {kinds[-1]}"
    assert sum(kind in TERMINALS for kind in kinds) == 1, "there are several terminal events"
    for event in (events[0], events[1], events[-1]):
        check_response(event["response"])
    assert len({e["response"]["id"] for e in (events[0], events[1], events[-1])}) == 1
    _check_items(events[2:-1], events[-1])
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    """The text that the deltas of a stream add up to."""
    return "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")


def _blocks(raw: bytes) -> list[str]:
    text = raw.decode("utf-8")
    assert text.endswith("\n\n"), "the last event is not closed by a blank line"
    assert "[DONE]" not in text
    return [block for block in text.split("\n\n") if block]


def _event(block: str) -> dict[str, Any]:
    name, data = block.split("\n")
    assert name.startswith("event: "), name
    assert data.startswith("data: "), data
    event = json.loads(data[len("data: ") :])
    assert event["type"] == name[len("event: ") :], "the name is not the type"
    return event


class _Item:
    def __init__(self, item: dict[str, Any]) -> None:
        self.item = item
        self.deltas: dict[str, str] = {}
        self.done: dict[str, str] = {}
        self.parts: list[str] = []  # added and not done
        self.annotations: dict[int, list[Any]] = {}  # by the part they are about


#: What a delta adds to and what closes it, by the middle of its type.
_SPOKEN = {
    "output_text": "text",
    "refusal": "refusal",
    "reasoning_summary_text": "text",
    "function_call_arguments": "arguments",
    "custom_tool_call_input": "input",
}


def _check_items(events: list[dict[str, Any]], terminal: dict[str, Any]) -> None:
    open_: _Item | None = None
    done: list[dict[str, Any]] = []
    for event in events:
        kind = event["type"].removeprefix("response.")
        if kind == "error":
            assert terminal["type"] == "response.failed"
            continue
        assert event["output_index"] == len(done), "an event is about an item that is not open"
        if kind == "output_item.added":
            assert open_ is None, "an item opens before the last one closed"
            open_ = _Item(event["item"])
            continue
        assert open_ is not None, f"{kind} comes while no item is open"
        if kind == "output_item.done":
            _check_done(open_, event["item"])
            done.append(event["item"])
            open_ = None
        else:
            assert event["item_id"] == open_.item["id"]
            _take(open_, kind, event)
    if terminal["type"] == "response.failed":
        return
    assert open_ is None, "an item never closed"
    assert terminal["response"]["output"] == done, "the response has other items than the stream"


def _take(item: _Item, kind: str, event: dict[str, Any]) -> None:
    name, _, what = kind.rpartition(".")
    place = f"{name} {event.get('content_index', event.get('summary_index', 0))}"
    if kind.endswith("part.added"):
        assert not item.parts, "a part opens before the last one closed"
        item.parts.append(place)
    elif kind.endswith("part.done"):
        assert item.parts == [place], "a part closes that is not open"
        item.parts.clear()
    elif kind == "output_text.annotation.added":
        annotations = item.annotations.setdefault(event["content_index"], [])
        assert event["annotation_index"] == len(annotations)
        annotations.append(event["annotation"])
    else:
        assert place not in item.done, f"{place} goes on after its end"
        if what == "delta":
            assert event["delta"], "a delta says nothing"
            item.deltas[place] = item.deltas.get(place, "") + event["delta"]
        else:
            item.done[place] = event[_SPOKEN[name]]


def _check_done(opened: _Item, item: dict[str, Any]) -> None:
    assert not opened.parts, "an item closes with an open part"
    assert (item["id"], item["type"]) == (opened.item["id"], opened.item["type"])
    assert opened.deltas == {place: text for place, text in opened.done.items() if text}
    if item["type"] == "message":
        said = "".join(p.get("text", "") + p.get("refusal", "") for p in item["content"])
        for at, part in enumerate(item["content"]):
            assert part.get("annotations", []) == opened.annotations.get(at, [])
    elif item["type"] == "reasoning":
        said = "".join(part["text"] for part in item["summary"])
    elif item["type"] in ("function_call", "custom_tool_call"):
        said = item.get("arguments", "") + item.get("input", "")
    else:
        return
    assert said == "".join(opened.deltas.values()), "an item says something else than its deltas"
