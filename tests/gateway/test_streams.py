"""A stream says what the whole answer says, however it is cut, and is well formed however it ends."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.gateway.worker import Answer, Step, Worker, part, parts, saying, streamed, usage, whole
from tests.stream_checker import text_of

from santral.errors import ProviderFailed, ProviderRefusedRequest
from santral.wire.delta import ChoiceDelta, Delta, ToolCallDelta

EMAIL = "ayse.yilmaz@example.com"
CARD = "4111 1111 1111 1111"

TEXTS = st.lists(
    st.sampled_from([EMAIL, CARD, " ", "word", "çığ", "\n", ". ", "a@", "4111 ", "@", '"', "1"]),
    max_size=8,
).map("".join)
CALLS = st.lists(TEXTS, max_size=2).map(
    lambda all_: tuple(ToolCallDelta(n, f"c{n}", "f", text) for n, text in enumerate(all_))
)


@st.composite
def answers(draw: st.DrawFn) -> tuple[tuple[ChoiceDelta, ...], list[Step]]:
    """Some choices, and the deltas of a stream that says them: cut and interleaved anyhow."""
    choices = tuple(
        ChoiceDelta(n, draw(TEXTS), draw(TEXTS), draw(TEXTS), draw(CALLS), "stop")
        for n in range(draw(st.integers(1, 3)))
    )
    is_raw = draw(st.booleans())
    queues = [_pieces(draw, choice) for choice in choices]
    deltas: list[Step] = []
    opened: set[int] = set()
    while any(queues):
        ready = [queue for queue in queues if queue]
        together = draw(st.integers(1, len(ready)))
        taken = [queue.pop(0) for queue in draw(st.permutations(ready))[:together]]
        if is_raw and len({piece.index in opened for piece in taken}) > 1:
            deltas += [part(p, role=p.index not in opened) for p in taken]
        else:
            role = taken[0].index not in opened
            deltas.append(parts(taken, role=role, is_raw=is_raw))
        opened |= {piece.index for piece in taken}
    return choices, [*deltas, usage()]


def _pieces(draw: st.DrawFn, choice: ChoiceDelta) -> list[ChoiceDelta]:
    index = choice.index
    pieces = [
        *(ChoiceDelta(index, reasoning=text) for text in _cut(draw, choice.reasoning)),
        *(ChoiceDelta(index, text) for text in _cut(draw, choice.text)),
        *(ChoiceDelta(index, refusal=text) for text in _cut(draw, choice.refusal)),
    ]
    for call in choice.tool_calls:
        first, *more = _cut(draw, call.arguments) or [""]
        opened = ToolCallDelta(call.index, call.id, call.name, first)
        rest = [ToolCallDelta(call.index, arguments=text) for text in more]
        pieces += [ChoiceDelta(index, tool_calls=(piece,)) for piece in (opened, *rest)]
    if pieces and draw(st.booleans()):  # the end may come with the last content
        pieces[-1] = msgspec.structs.replace(pieces[-1], finish_reason="stop")
        return pieces
    return [*pieces, ChoiceDelta(index, finish_reason="stop")]


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    edges = sorted(draw(st.sets(st.integers(1, max(1, len(text))), max_size=6)) | {0, len(text)})
    cuts = [text[a:b] for a, b in pairwise(edges)]
    return [piece for piece in cuts if piece]


def saying_in_one(text: str) -> tuple[tuple[ChoiceDelta, ...], list[Step]]:
    choice = ChoiceDelta(text=text, finish_reason="stop")
    return (choice,), [part(choice, role=True), usage()]


@pytest.mark.parametrize("route", ["plain", "out-mask", "cached-masked"])
@given(answer=answers())
@example(answer=saying_in_one(" 4111 4111 1111 1111 1111"))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_stream_says_what_the_whole_answer_says(
    worker: Worker, route: str, answer: tuple[tuple[ChoiceDelta, ...], list[Step]]
) -> None:
    choices, deltas = answer
    worker.reset()
    worker.provider.will([whole(*choices)], deltas, deltas)
    said = unnumbered(worker.ask(route))
    # other questions, so that no answer comes from the cache
    streaming = worker.ask(route, "again", stream=True, stream_options={"include_usage": True})
    assert unnumbered(streaming) == said
    assert streaming.usage is not None
    assert unnumbered(worker.ask(route, "deltas to who wants it whole")) == said


def unnumbered(answer: Answer) -> str:
    """What was said, its placeholders without numbers: those follow the order in which values come,
    and a stream may bring its texts in another order than a whole answer."""
    return re.sub(r"(\[[A-Z]+)_\d+\]", r"\1]", repr(answer.choices))


ANSWER = [
    ChoiceDelta(text=f"My address is {EMAIL} and so on, for a while.", reasoning="Let me think.")
]
PIECES = streamed(*ANSWER)
SPARE = "The spare answers."


@pytest.mark.parametrize("route", ["ladder", "masked-ladder", "schema-ladder"])
@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("count", range(0, len(PIECES), 3))
def test_a_provider_that_fails_is_replaced_unseen_or_its_stream_ends_with_the_error(
    worker: Worker, route: str, is_streaming: bool, count: int
) -> None:
    spare = '{"age": 1}' if route == "schema-ladder" else SPARE
    worker.provider.will([*PIECES[:count], ProviderFailed("It broke.")])
    worker.provider.will(saying(ChoiceDelta(text=spare)), model="m-two")
    answer = worker.ask(route, stream=is_streaming)
    if answer.status == 200 and is_streaming and "error" in answer.events[-1]:
        assert answer.error["code"] == "provider_failed"
        assert count, "nothing had been sent"
        assert spare not in text_of(answer.events)
        assert [attempt.deployment for attempt in worker.record.attempts] == ["one"]
    else:
        assert [c.text for c in answer.choices] == [spare]
        assert [c.reasoning for c in answer.choices] == [""]
        assert answer.headers["x-santral-deployment"] == "two"
        assert worker.record.payload is not None
        assert worker.record.payload.response == spare
    assert EMAIL not in answer.body.decode() or route == "ladder"


def test_what_fails_for_good_before_the_first_delta_is_a_status(worker: Worker) -> None:
    worker.provider.will([ProviderRefusedRequest("No such parameter.")])
    answer = worker.ask("ladder", stream=True)
    assert (answer.status, answer.error["code"]) == (400, "provider_refused_request")
    assert worker.provider.asked[-1].model == "m-one", "another deployment would refuse it too"


def raw(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish} | more
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return json.dumps(head | {"choices": [choice]}).encode()


def chunked(choice: ChoiceDelta, data: bytes) -> Delta:
    return Delta(choices=(choice,), raw=data, id="x", model="m", created=1)


def test_an_answer_in_one_chunk_begins_once_and_ends_once(worker: Worker) -> None:
    """Imitators stream a whole answer as one chunk: role, text and end together."""
    data = raw({"role": "assistant", "content": f"Write to {EMAIL}"}, "stop")
    choice = ChoiceDelta(text=f"Write to {EMAIL}", finish_reason="stop")
    worker.provider.will([chunked(choice, data), usage()])
    worker.provider.scripts["m-one"] = [[chunked(choice, data)]]
    answer = worker.ask("out-mask", stream=True)
    assert text_of(answer.events) == "Write to [EMAIL_1]"


def test_tool_calls_that_come_with_the_end_are_masked_once(worker: Worker) -> None:
    arguments = json.dumps({"to": EMAIL})
    call = {
        "index": 0,
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": arguments},
    }
    for delta in ({"role": "assistant", "tool_calls": [call]}, {"tool_calls": [call]}):
        choice = ChoiceDelta(
            tool_calls=(ToolCallDelta(0, "c", "f", arguments),), finish_reason="tool_calls"
        )
        steps: list[Step] = [chunked(choice, raw(delta, "tool_calls"))]
        if "role" not in delta:
            opening = {"role": "assistant", "content": ""}
            steps.insert(0, chunked(ChoiceDelta(), raw(opening)))
        worker.provider.will(steps)
        answer = worker.ask("out-mask", stream=True)
        assert answer.choices[0].tool_calls == (ToolCallDelta(0, "c", "f", '{"to": "[EMAIL_1]"}'),)
        assert EMAIL.encode() not in answer.body


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_log_probabilities_do_not_spell_what_is_masked(worker: Worker, is_streaming: bool) -> None:
    text = f"Write to {EMAIL} today"
    tokens = {"content": [{"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}]}
    if is_streaming:
        data = raw({"role": "assistant", "content": text}, logprobs=tokens)
        end = raw({}, "stop")
        steps: list[Step] = [
            chunked(ChoiceDelta(text=text), data),
            chunked(ChoiceDelta(finish_reason="stop"), end),
        ]
    else:
        delta = whole(ChoiceDelta(text=text, finish_reason="stop"))
        body = json.loads(delta.raw)
        body["choices"][0]["logprobs"] = tokens
        steps = [msgspec.structs.replace(delta, raw=json.dumps(body).encode())]
    worker.provider.will(steps)
    answer = worker.ask("out-mask", stream=is_streaming, logprobs=True)
    assert EMAIL.encode() not in answer.body
    assert answer.choices[0].text == "Write to [EMAIL_1] today"
    assert tokens["content"][0]["token"] in worker.ask("plain", stream=is_streaming).body.decode()


def test_a_refused_stream_ends_with_the_refusal_and_gives_no_value_away(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text=f"Some words first. Then {EMAIL} and more.")))
    answer = worker.ask("out-refuse", stream=True)
    assert answer.error["code"] == "output_refused"
    assert text_of(answer.events).startswith("Some words first.")
    assert "ayse" not in text_of(answer.events)
    assert worker.record.payload is not None
    assert worker.record.payload.response == text_of(answer.events)
