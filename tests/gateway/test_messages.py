"""Anthropic's protocol in: every request becomes chat form, every answer well-formed blocks."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.gateway.worker import KEY, Answer, Step, Worker, saying
from tests.stream_checker_messages import check_messages_stream, message_of

from santral.errors import ProviderFailed
from santral.gateway.dialects.messages.request import read_request
from santral.providers.provider import ProviderCall, TaskAnswer, TaskCall
from santral.quota.limits import Limits
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.usage import Usage

CLAUDE = "anthropic-claude-v1"
USED = Usage(input_uncached=90, cache_read=10, output_text=15, reasoning=5)
HEAD: dict[str, Any] = {"id": "chatcmpl-1", "model": "m-one", "created": 1_700_000_000}


def ask(worker: Worker, route: str = "plain", path: str = "", **fields: Any) -> Answer:
    body = {
        "model": route,
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hello"}],
        **fields,
    }
    return worker.post(json.dumps(body).encode(), path=f"/v1/messages{path}")


def deltas(*choices: ChoiceDelta) -> list[Step]:
    made: list[Step] = [Delta(choices=(choice,), **HEAD) for choice in choices]
    return [*made, Delta(usage=USED, **HEAD)]


def streamed(worker: Worker, *choices: ChoiceDelta, **fields: Any) -> dict[str, Any]:
    """The message that a stream adds up to; the same said whole is checked to be equal."""
    worker.provider.will(deltas(*choices))
    message = message_of(check_messages_stream(ask(worker, stream=True, **fields).body))
    whole = ask(worker, **fields).json
    assert message["content"] == whole["content"]
    assert message["stop_reason"] == whole["stop_reason"]
    return message


def call(index: int, arguments: str = "", *, opens: bool = False, **more: Any) -> ChoiceDelta:
    given = {"id": f"call_{index}", "name": f"tool_{index}"} if opens else {}
    return ChoiceDelta(tool_calls=(ToolCallDelta(index, arguments=arguments, **given, **more),))


END = ChoiceDelta(finish_reason="stop")


def test_an_answer_of_a_chat_provider_is_a_message(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="Merhaba dünya.")))
    answer = ask(worker)
    assert answer.status == 200
    assert answer.json["content"] == [{"type": "text", "text": "Merhaba dünya."}]
    assert answer.json["type"] == "message"
    assert answer.json["stop_reason"] == "end_turn"
    assert answer.json["usage"]["input_tokens"] == 100
    assert answer.headers["x-santral-deployment"] == "one"
    events = check_messages_stream(ask(worker, stream=True).body)
    assert message_of(events)["content"] == answer.json["content"]
    assert message_of(events)["usage"]["output_tokens"] == 20


def test_blocks_follow_the_order_of_the_deltas(worker: Worker) -> None:
    message = streamed(
        worker,
        ChoiceDelta(reasoning="Let me "),
        ChoiceDelta(reasoning="see."),
        ChoiceDelta(details=(ReasoningDetail(signature="sig1", format=CLAUDE),)),
        ChoiceDelta(details=(ReasoningDetail(type="encrypted", data="zz", format=CLAUDE),)),
        ChoiceDelta(text="One"),
        ChoiceDelta(text="."),
        ChoiceDelta(reasoning="Hm."),
        ChoiceDelta(details=(ReasoningDetail(signature="sig2", format=CLAUDE),)),
        ChoiceDelta(native=(NativeBlock("messages", b'{"type":"server_tool_use","id":"s"}'),)),
        call(0, opens=True),
        call(0, '{"a":'),
        call(0, "1}"),
        ChoiceDelta(finish_reason="tool_calls"),
    )
    assert message["content"] == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "sig1"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "text", "text": "One."},
        {"type": "thinking", "thinking": "Hm.", "signature": "sig2"},
        {"type": "server_tool_use", "id": "s"},
        {"type": "tool_use", "id": "call_0", "name": "tool_0", "input": {"a": 1}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"] == {
        "input_tokens": 90,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 10,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 20,
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_interleaved_calls_leave_one_after_the_other(worker: Worker) -> None:
    message = streamed(
        worker,
        call(0, opens=True),
        call(1, opens=True),
        call(1, '{"b"'),
        call(0, '{"a"'),
        ChoiceDelta(text="meanwhile"),
        call(1, ":2}"),
        call(0, ":1}"),
        ChoiceDelta(finish_reason="tool_calls"),
    )
    assert message["content"] == [
        {"type": "tool_use", "id": "call_0", "name": "tool_0", "input": {"a": 1}},
        {"type": "tool_use", "id": "call_1", "name": "tool_1", "input": {"b": 2}},
        {"type": "text", "text": "meanwhile"},
    ]


def test_a_call_streams_as_soon_as_the_one_before_is_whole(worker: Worker) -> None:
    worker.provider.will(
        deltas(call(0, '{"a":1}', opens=True), call(1, '{"b":', opens=True), call(1, "2}"), END)
    )
    events = check_messages_stream(ask(worker, stream=True).body)
    pieces = [e["delta"]["partial_json"] for e in events if e["type"] == "content_block_delta"]
    assert pieces == ['{"a":1}', '{"b":', "2}"]
    assert message_of(events)["stop_reason"] == "tool_use", "OpenAI says stop for a forced tool"


def test_one_delta_with_everything_is_ordered(worker: Worker) -> None:
    everything = ChoiceDelta(
        text="said",
        reasoning="thought",
        tool_calls=(ToolCallDelta(0, "c", "f", "{}"), ToolCallDelta(1, "d", "g", "")),
        finish_reason="length",
    )
    message = streamed(worker, everything)
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert [block.get("input") for block in message["content"][2:]] == [{}, {}]
    assert message["stop_reason"] == "max_tokens"


def test_a_folded_answer_gives_each_thought_its_own_signature(worker: Worker) -> None:
    folded = ChoiceDelta(
        reasoning="first second",
        details=(
            ReasoningDetail(signature="s1", id="chars-6", format=CLAUDE),
            ReasoningDetail(type="encrypted", data="zz", format=CLAUDE),
            ReasoningDetail(signature="s2", id="chars-6", format=CLAUDE),
        ),
        text="x",
        finish_reason="stop",
    )
    blocks = streamed(worker, folded)["content"]
    assert blocks[:3] == [
        {"type": "thinking", "thinking": "first ", "signature": "s1"},
        {"type": "redacted_thinking", "data": "zz"},
        {"type": "thinking", "thinking": "second", "signature": "s2"},
    ]


def test_stop_sequences_refusals_and_citations_are_said(worker: Worker) -> None:
    stop = ChoiceDelta(finish_reason="stop", native_finish="stop_sequence", stop_sequence="END")
    message = streamed(worker, ChoiceDelta(text="x"), stop)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    details = b'{"type":"refusal","category":"cyber","explanation":"No."}'
    refused = ChoiceDelta(
        refusal="No.",
        finish_reason="content_filter",
        native_finish="refusal",
        native=(NativeBlock("messages", details),),
    )
    message = streamed(worker, refused)
    assert (message["stop_reason"], message["content"]) == ("refusal", [])
    assert message["stop_details"]["category"] == "cyber"
    cited = msgspec.Raw(
        b'{"type":"url_citation","anthropic":{"type":"web_search_result_location"}}'
    )
    message = streamed(
        worker,
        ChoiceDelta(text="a"),
        ChoiceDelta(annotations=(cited,)),
        ChoiceDelta(text="b", begins_block=True),
        END,
    )
    assert message["content"] == [
        {"type": "text", "text": "a", "citations": [{"type": "web_search_result_location"}]},
        {"type": "text", "text": "b"},
    ]


OPAQUE = st.sampled_from(["google-gemini-v1", "openai-responses-v1", CLAUDE, ""])


@given(
    details=st.lists(
        st.builds(
            ReasoningDetail,
            type=st.sampled_from(["text", "encrypted", "summary"]),
            signature=st.text("aA+/=é", max_size=4),
            data=st.text("aA+/=é", min_size=1, max_size=4),
            id=st.text("r", max_size=2),
            format=st.sampled_from(["google-gemini-v1", "openai-responses-v1"]),
        ),
        max_size=3,
    ),
    signature=st.text("abc=", max_size=3),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_opaque_data_of_other_vendors_comes_back_byte_for_byte(
    worker: Worker, details: list[ReasoningDetail], signature: str
) -> None:
    worker.reset()
    said = [ChoiceDelta(details=(detail,)) for detail in details]
    content = streamed(worker, *said, call(0, "{}", opens=True, signature=signature), END)[
        "content"
    ]
    back = read_request(
        json.dumps({"model": "m", "messages": [{"role": "assistant", "content": content}]}).encode()
    )
    message = json.loads(msgspec.json.encode(back.messages[0]))
    names = ("signature", "data", "id", "format")
    assert [
        {"type": entry["type"], **{n: entry[n] for n in names if n in entry}}
        for entry in message.get("reasoning_details", [])
    ] == [
        {"type": f"reasoning.{d.type}", **{n: v for n in names if (v := getattr(d, n))}}
        for d in details
    ]
    extra = message["tool_calls"][0].get("extra_content")
    assert extra == ({"google": {"thought_signature": signature}} if signature else None)


PIECES = st.one_of(
    st.builds(ChoiceDelta, text=st.text(max_size=3)),
    st.builds(ChoiceDelta, reasoning=st.text(max_size=3)),
    st.builds(ChoiceDelta, refusal=st.text(max_size=3)),
    st.builds(
        lambda kind, form: ChoiceDelta(
            details=(ReasoningDetail(type=kind, signature="s", data="d", format=form),)
        ),
        st.sampled_from(["text", "encrypted", "summary"]),
        OPAQUE,
    ),
    st.builds(lambda: ChoiceDelta(native=(NativeBlock("messages", b'{"type":"new"}'),))),
    st.builds(
        lambda n, piece: ("call", n, piece), st.integers(0, 2), st.sampled_from(["", " ", "x"])
    ),
)


@given(script=st.lists(PIECES, max_size=12))
@example(script=[])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_sequence_of_deltas_is_a_well_formed_stream(
    worker: Worker, script: list[Any]
) -> None:
    worker.reset()
    seen: dict[int, str] = {}
    choices: list[ChoiceDelta] = []
    for piece in script:
        if isinstance(piece, ChoiceDelta):
            choices.append(piece)
            continue
        _, number, said = piece
        opens = number not in seen
        more = '{"v":"' + said if opens else said
        seen[number] = seen.get(number, "") + more
        choices.append(call(number, more, opens=opens))
    choices += [call(number, '"}') for number in seen]
    message = streamed(worker, *choices, END)
    texts = "".join(block["text"] for block in message["content"] if block["type"] == "text")
    assert texts == "".join(choice.text + choice.refusal for choice in choices)
    inputs = {b["id"]: b["input"] for b in message["content"] if b["type"] == "tool_use"}
    assert inputs == {f"call_{n}": json.loads(said + '"}') for n, said in seen.items()}


def test_a_failure_after_the_beginning_is_an_event(worker: Worker) -> None:
    worker.provider.will(
        [Delta(choices=(ChoiceDelta(text="Half"),), **HEAD), ProviderFailed("Oh.")]
    )
    answer = ask(worker, stream=True)
    events = check_messages_stream(answer.body)
    assert events[-1]["error"]["type"] == "api_error"
    assert events[-1]["error"]["code"] == "provider_failed"
    assert events[-1]["request_id"] == answer.headers["x-request-id"]


def sent(worker: Worker, **fields: Any) -> tuple[dict[str, Any], ProviderCall]:
    worker.provider.will(saying(ChoiceDelta(text="{}")))
    answer = ask(worker, **fields)
    assert answer.status == 200, answer.body
    return worker.provider.asked[-1].fields, worker.provider.asked[-1].call


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAA="}}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "BBB="},
    "title": "a.pdf",
    "citations": {"enabled": True},
}


def test_a_request_becomes_chat_form(worker: Worker) -> None:
    fields, call_ = sent(
        worker,
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": [{"type": "text", "text": "See"}, IMAGE, PDF]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "s1"},
                    {"type": "text", "text": "Calling."},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1.10}},
                    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "is_error": True,
                        "content": [{"type": "text", "text": "no"}, IMAGE],
                    },
                    {"type": "text", "text": "Go on."},
                ],
            },
        ],
        stop_sequences=["END"],
        top_k=5,
        metadata={"user_id": "u1"},
        tools=[
            {"name": "f", "input_schema": {"type": "object"}, "strict": True, "defer_loading": False},
            {"type": "web_search_20260318", "name": "web_search"},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
        output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
        thinking={"type": "adaptive"},
        context_management={"edits": []},
    )  # fmt: skip
    system, user, assistant, tool, last = fields["messages"]
    assert system == {
        "role": "system",
        "content": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    }
    assert user["content"] == [
        {"type": "text", "text": "See"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA="}},
        {
            "type": "file",
            "file": {"file_data": "data:application/pdf;base64,BBB=", "filename": "a.pdf"},
            "anthropic": {"citations": {"enabled": True}},
        },
    ]
    assert assistant["reasoning_content"] == "Hm."
    assert assistant["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm.", "signature": "s1", "format": CLAUDE}
    ]
    assert assistant["content"][1]["type"] == "native"
    assert assistant["content"][1]["block"]["name"] == "web_search"
    assert assistant["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"x": 1.1}'}
    assert assistant["block_order"] == ["reasoning", "content", "tool_call", "content"]
    assert (tool["tool_call_id"], tool["is_error"]) == ("t1", True)
    assert [part["type"] for part in tool["content"]] == ["text", "image_url"]
    assert last["content"] == [{"type": "text", "text": "Go on."}]
    assert fields["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object"}, "strict": True},
            "anthropic": {"defer_loading": False},
        },
        {
            "type": "native",
            "dialect": "messages",
            "block": {"type": "web_search_20260318", "name": "web_search"},
        },
    ]
    assert (fields["stop"], fields["top_k"], fields["user"]) == (["END"], 5, "u1")
    assert (fields["tool_choice"], fields["parallel_tool_calls"]) == ("required", False)
    assert fields["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert fields["reasoning_effort"] == "low"
    assert call_.dialect == "messages"
    assert sorted(call_.native) == ["context_management", "thinking"]


def test_flags_of_the_client_go_with_the_call(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="ok")))
    body = json.dumps({"model": "plain", "messages": [{"role": "user", "content": "x"}]}).encode()
    flags = b"context-1m-2025-08-07"
    worker.post(body, path="/v1/messages", headers=[(b"anthropic-beta", flags)])
    assert worker.provider.asked[-1].call.caller_headers == {"anthropic-beta": flags.decode()}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages.0.content.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]},
            "messages.0.content.0.text",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": 1}]}]},
            "messages.0.content.0.source",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
            "messages.0.content.0",
        ),
        ({"system": 5}, "system"),
        ({"system": [7]}, "system.0"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"tools": [{"name": "f"}]}, "tools.0"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": 5}}, "thinking.type"),
        ({"santral": {"sesion": "s"}}, "santral.sesion"),
    ],
)
def test_a_wrong_shape_is_a_400_in_the_callers_own_words(
    worker: Worker, fields: dict[str, Any], param: str
) -> None:
    answer = ask(worker, **fields)
    assert answer.status == 400
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert answer.json["error"]["param"] == param
    assert answer.json["request_id"] == answer.headers["request-id"]
    assert worker.provider.asked == []
    assert worker.record.status == 400


def test_errors_have_the_statuses_and_types_of_the_protocol(worker: Worker) -> None:
    assert ask(worker, "plan").json["error"]["type"] == "not_found_error"
    body = b'{"model":"plain","messages":[]}'
    nobody = worker.post(body, path="/v1/messages", key="sk-nobody")
    assert (nobody.status, nobody.json["error"]["type"]) == (401, "authentication_error")
    large = worker.post(b" " * 30000, path="/v1/messages")
    assert (large.status, large.json["error"]["type"]) == (413, "request_too_large")
    worker.provider.will([ProviderFailed("Broken.")])
    failed = ask(worker)
    assert (failed.status, failed.json["error"]["type"]) == (502, "api_error")
    missing = worker.post(b"{}", path="/v1/messages/nothing")
    assert (missing.status, missing.json["error"]["type"]) == (404, "not_found_error")


def test_limits_are_told_in_anthropics_names(worker: Worker) -> None:
    worker.limit(Limits(requests_per_second=0.001, tokens_per_day=100_000))
    worker.provider.will(saying(ChoiceDelta(text="ok")))
    first = ask(worker)
    assert first.headers["anthropic-ratelimit-requests-remaining"] == "0"
    assert first.headers["anthropic-ratelimit-tokens-reset"].endswith("T00:00:00Z")
    second = ask(worker)
    assert (second.status, second.json["error"]["type"]) == (429, "rate_limit_error")
    assert int(second.headers["retry-after"]) > 1
    assert not any(name.startswith("x-ratelimit") for name in second.headers)


def test_tokens_are_estimated_where_the_provider_cannot_count(worker: Worker) -> None:
    answer = ask(worker, path="/count_tokens", system="Be kind.")
    assert answer.status == 200
    assert answer.json["input_tokens"] > 3
    assert answer.headers["x-santral-estimated"] == "true"
    assert worker.provider.asked == []
    assert worker.record.attempts == []


def test_tokens_are_counted_by_the_provider_where_it_can(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[TaskCall] = []

    async def perform(call: TaskCall) -> TaskAnswer:
        asked.append(call)
        return TaskAnswer(body=b'{"input_tokens":17}', usage=Usage())

    monkeypatch.setattr(worker.provider, "operations", frozenset({"chat", "count_tokens"}))
    monkeypatch.setattr(worker.provider, "perform", perform)
    answer = ask(worker, path="/count_tokens", thinking={"type": "adaptive"})
    assert answer.json == {"input_tokens": 17}
    assert "x-santral-estimated" not in answer.headers
    assert json.loads(bytes(asked[0].fields["thinking"])) == {"type": "adaptive"}
    assert worker.record.status == 200
    assert worker.used() == (0, 0)


def test_counting_meets_keys_and_rights(worker: Worker) -> None:
    body = json.dumps({"model": "nothing", "messages": []}).encode()
    assert worker.post(body, path="/v1/messages/count_tokens", key="").status == 401
    assert worker.post(body, path="/v1/messages/count_tokens").status == 404
    assert KEY.plaintext not in worker.spooled[-1].decode("utf-8", "replace")


EMAIL = "ayse.yilmaz@example.com"


def test_masks_hold_in_every_kind_of_block(worker: Worker) -> None:
    worker.provider.will(saying(ChoiceDelta(text="ok")))
    document = {"type": "text", "media_type": "text/plain", "data": f"Write to {EMAIL}"}
    ask(
        worker,
        "in-mask",
        system=f"For {EMAIL}",
        messages=[
            {"role": "user", "content": [{"type": "document", "source": document}]},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": f"Of {EMAIL}", "signature": "s"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"to": EMAIL}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": f"Sent to {EMAIL}"},
                    {"type": "search_result", "source": "s", "title": EMAIL, "content": []},
                ],
            },
        ],
    )
    sent = worker.provider.asked[-1]
    assert EMAIL not in sent.text
    assert base64.b64encode(f"Write to {EMAIL}".encode()).decode() not in sent.text


def test_masks_hold_in_streams(worker: Worker) -> None:
    worker.provider.will(
        deltas(
            ChoiceDelta(reasoning="Is it ayse.yilmaz@"),
            ChoiceDelta(reasoning="example.com?"),
            ChoiceDelta(text="Write to ayse.yil"),
            ChoiceDelta(text="maz@example.com."),
            call(0, '{"to":"ayse.yilmaz', opens=True),
            call(0, '@example.com"}'),
            END,
        )
    )
    body = ask(worker, "out-mask", stream=True).body
    message = message_of(check_messages_stream(body))
    assert EMAIL.encode() not in body
    assert EMAIL not in json.dumps(message)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/latest"}},
        {"type": "document", "source": {"type": "url", "url": "http://10.0.0.1/a.pdf"}},
        {"type": "future", "source": {"type": "url", "url": "http://127.0.0.1/x"}},
    ],
)
def test_addresses_in_private_networks_are_refused(worker: Worker, block: dict[str, Any]) -> None:
    for path in ("", "/count_tokens"):
        worker.reset()
        answer = ask(worker, path=path, messages=[{"role": "user", "content": [block]}])
        assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
        assert worker.provider.asked == []
        assert worker.record.status == 400


def test_invalid_bytes_are_refused(worker: Worker) -> None:
    for body in (b"{", b"[]", b'{"model":"plain","messages":[],"x":"\xff"}', b"[" * 5000):
        worker.reset()
        answer = worker.post(body, path="/v1/messages")
        assert (answer.status, answer.json["type"]) == (400, "error")
        assert worker.record.status == 400
