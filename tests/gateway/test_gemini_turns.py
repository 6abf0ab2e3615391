"""Turns of a model as Google's SDKs send them back: a content for every event they heard."""

from __future__ import annotations

from typing import Any

from tests.gateway.test_gemini import blocks, messages, model, stream, user
from tests.gateway.worker import Worker
from tests.stream_checker_gemini import parts_of

from santral.wire.delta import ChoiceDelta, ReasoningDetail, ToolCallDelta

CLAUDE = "anthropic-claude-v1"
WEATHER = {"functionCall": {"id": "a", "name": "weather", "args": {"city": "İzmir"}}}
TIME = {"functionCall": {"id": "b", "name": "time", "args": {}}}
RESULTS = [
    {"functionResponse": {"id": name, "name": "x", "response": {"output": "sunny"}}}
    for name in ("a", "b")
]


def test_contents_of_one_turn_are_one_message(worker: Worker) -> None:
    """OpenAI refuses a call that its result does not follow, and an assistant who says nothing."""
    pieces: list[dict[str, Any]] = [
        {"text": "Let me", "thought": True},
        {"text": "I loo"},
        {"text": "k."},
        WEATHER,
        TIME,
        {"text": ""},
    ]
    asked = messages(worker, user({"text": "x"}), *map(model, pieces), user(*RESULTS))
    assert [message["role"] for message in asked] == ["user", "assistant", "tool", "tool"]
    assert asked[1]["content"] == "I look."
    assert [call["id"] for call in asked[1]["tool_calls"]] == ["a", "b"]


def test_turns_that_a_user_stands_between_stay_apart(worker: Worker) -> None:
    said = [model({"text": "one"}), user({"text": "?"}), model({"text": "two"})]
    asked = messages(worker, user({"text": "x"}), *said, user({"text": "?"}))
    assert [m["content"] for m in asked if m["role"] == "assistant"] == ["one", "two"]


def test_a_turn_that_says_nothing_is_an_empty_text(worker: Worker) -> None:
    asked = messages(worker, user({"text": "x"}), model({"text": ""}), user({"text": "y"}))
    assert asked[1] == {"role": "assistant", "content": ""}


def thinking() -> list[ChoiceDelta]:
    signed = ReasoningDetail(type="text", signature="EsEC+A==", format=CLAUDE)
    return [
        ChoiceDelta(reasoning="Let "),
        ChoiceDelta(reasoning="me look."),
        ChoiceDelta(details=(signed,)),
        ChoiceDelta(text="I look."),
        ChoiceDelta(tool_calls=(ToolCallDelta(index=0, id="a", name="weather", arguments="{}"),)),
    ]


def shown(worker: Worker) -> list[dict[str, Any]]:
    worker.provider.will(blocks(*thinking()))
    config = {"thinkingConfig": {"includeThoughts": True}}
    return parts_of(stream(worker, generationConfig=config))


def test_a_streamed_signature_stands_on_the_thought_it_closes(worker: Worker) -> None:
    """The AI SDK forgets the signature of an empty thought."""
    parts = shown(worker)
    assert [part.get("text") for part in parts[:3]] == ["Let ", "me look.", "I look."]
    assert [name for name in parts[1] if name == "thoughtSignature"]
    assert "thoughtSignature" not in parts[0]
    assert parts[3]["functionCall"]["name"] == "weather"


def test_a_streamed_thought_comes_back_whole_and_signed(worker: Worker) -> None:
    """What Google's SDKs keep of a stream is what its provider has to see again."""
    kept = [model(part) for part in shown(worker)]
    said = messages(worker, user({"text": "x"}), *kept, user(RESULTS[0]))[1]
    (detail,) = said["reasoning_details"]
    assert detail["text"] == "Let me look."
    assert detail["signature"] == "EsEC+A=="


def test_a_thought_that_nobody_signed_is_not_held_back_for_ever(worker: Worker) -> None:
    worker.provider.will(blocks(ChoiceDelta(reasoning="Hm."), ChoiceDelta(reasoning=" Well.")))
    parts = parts_of(stream(worker, generationConfig={"thinkingConfig": {"includeThoughts": True}}))
    assert "".join(part["text"] for part in parts if part.get("thought")) == "Hm. Well."


def test_thoughts_and_calls_keep_their_order(worker: Worker) -> None:
    call = ToolCallDelta(index=0, id="a", name="weather", arguments="{}")
    other = ToolCallDelta(index=1, id="b", name="time", arguments="{}")
    worker.provider.will(
        blocks(
            ChoiceDelta(reasoning="one"),
            ChoiceDelta(tool_calls=(call,)),
            ChoiceDelta(reasoning="two"),
            ChoiceDelta(tool_calls=(other,)),
        )
    )
    parts = parts_of(stream(worker, generationConfig={"thinkingConfig": {"includeThoughts": True}}))
    order = [part.get("text") or part["functionCall"]["name"] for part in parts]
    assert order == ["one", "weather", "two", "time"]
