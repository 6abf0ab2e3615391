"""Every provider recording in every dialect in, streamed and whole, however its bytes were split."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.dialects_in import DIALECTS, HELLO, Heard, arguments_of, ask, hear
from tests.gateway.vendors import (
    Reading,
    VendorWorker,
    exchange_of,
    kinds,
    recordings,
    status_of,
)
from tests.gateway.worker import Answer

from santral.errors import ProviderBusy, ProviderError
from santral.wire.delta import ChoiceDelta
from santral.wire.usage import Usage

ALL = recordings()
STREAMS = [name for name in ALL if not name.endswith(".json")]


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorWorker]:
    made = VendorWorker(tmp_path_factory.mktemp("vendors"), kinds())
    yield made
    made.close()


def expected(dialect: str, reading: Reading) -> Heard:
    """What a client of ``dialect`` is to hear of a recording."""
    (choice,) = reading.answer.choices
    assert choice.finish_reason is not None
    text, finish = choice.text + choice.refusal, choice.finish_reason
    if dialect == "messages" and is_told_by_the_stop(choice):
        text = choice.text  # Anthropic's own clients read it in stop_details
    if dialect == "completions":  # texts alone
        return Heard(text, "", (), "stop" if finish == "tool_calls" else finish)
    calls = [(call.name, said_in(dialect, call.kind, call.arguments)) for call in choice.tool_calls]
    if dialect == "messages":  # blocks of Anthropic's own, among them calls made by its programs
        blocks = [json.loads(block.json) for block in choice.native if block.dialect == dialect]
        calls += [(b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    elif finish == "tool_calls" and not calls and dialect != "chat":
        finish = "stop"  # the call was such a block: for this client nothing was called
    return Heard(text, choice.reasoning, tuple(calls), finish)


def is_told_by_the_stop(choice: ChoiceDelta) -> bool:
    return any(json.loads(block.json).get("type") == "refusal" for block in choice.native)


def said_in(dialect: str, kind: str, arguments: str) -> Any:
    """A call's arguments; where a custom tool's plain text has no place it is put into an object."""
    if kind == "custom" and dialect in ("messages", "gemini"):
        return {"input": arguments}
    return arguments_of(arguments)


def tokens(usage: Usage) -> tuple[int, int, int]:
    return usage.input_tokens, usage.output_tokens, usage.cache_read


def asked(dialect: str, *, stream: bool, wants_usage: bool = True) -> dict[str, Any]:
    fields = dict(HELLO[dialect])
    if stream and wants_usage and dialect in ("chat", "completions"):
        fields["stream_options"] = {"include_usage": True}
    return fields


def answer_of(vendors: VendorWorker, name: str, dialect: str, *, stream: bool) -> Answer:
    kind = exchange_of(name).kind
    answer = ask(vendors, dialect, kind, stream=stream, fields=asked(dialect, stream=stream))
    assert vendors.upstream.open == 0, "an answer of the upstream was left open"
    assert len(vendors.upstream.sent) == 1
    return answer


def check(
    vendors: VendorWorker, name: str, dialect: str, reading: Reading, *, stream: bool
) -> None:
    answer = answer_of(vendors, name, dialect, stream=stream)
    if reading.error is not None:
        check_error(dialect, answer, reading.error)
        return
    assert answer.status == 200, answer.body
    heard = hear(dialect, answer)
    wanted = expected(dialect, reading)
    assert (heard.text, heard.reasoning, heard.calls) == (
        wanted.text,
        wanted.reasoning,
        wanted.calls,
    )
    # OpenAI itself, and TGI, say "stop" after a call that they were told to make.
    as_it_came = {wanted.finish, "stop"} if dialect == "chat" and heard.calls else {wanted.finish}
    assert heard.finish in as_it_came
    check_tokens(heard, reading.answer.usage)


def check_tokens(heard: Heard, usage: Usage | None) -> None:
    assert usage is not None
    assert heard.tokens is not None, "usage is missing"
    if not usage.is_estimated:
        assert heard.tokens == tokens(usage)
    else:
        assert heard.tokens[:2] > (0, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", ALL)
def test_every_dialect_says_what_the_recording_says(
    vendors: VendorWorker, name: str, dialect: str
) -> None:
    status, headers = status_of(name)
    reading = vendors.read(name, status, headers)
    for stream in (False, True):
        vendors.answer_with(exchange_of(name, status, headers))
        check(vendors, name, dialect, reading, stream=stream)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", STREAMS)
@given(edges=st.sets(st.integers(1, 100_000), min_size=1, max_size=12), stream=st.booleans())
@settings(max_examples=3, deadline=None)
def test_it_says_the_same_however_its_bytes_are_split(
    vendors: VendorWorker, name: str, dialect: str, edges: set[int], stream: bool
) -> None:
    reading = vendors.read(name)
    vendors.answer_with(exchange_of(name), edges)
    check(vendors, name, dialect, reading, stream=stream)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", STREAMS)
def test_it_says_the_same_byte_by_byte(vendors: VendorWorker, name: str, dialect: str) -> None:
    reading = vendors.read(name)
    exchange = exchange_of(name)
    vendors.answer_with(exchange, range(len(exchange.body)))
    check(vendors, name, dialect, reading, stream=True)


@pytest.mark.parametrize("dialect", ["chat", "completions"])
@pytest.mark.parametrize("name", ALL)
def test_clients_that_did_not_ask_get_no_usage(
    vendors: VendorWorker, name: str, dialect: str
) -> None:
    exchange = exchange_of(name, *status_of(name))
    vendors.answer_with(exchange)
    answer = ask(vendors, dialect, exchange.kind, stream=True, fields=HELLO[dialect])
    if answer.status == 200:
        assert hear(dialect, answer).tokens is None


@pytest.mark.parametrize("name", ALL)
def test_gemini_streams_the_same_as_an_array(vendors: VendorWorker, name: str) -> None:
    status, headers = status_of(name)
    reading = vendors.read(name, status, headers)
    exchange = exchange_of(name, status, headers)
    vendors.answer_with(exchange)
    answer = ask(vendors, "gemini", exchange.kind, stream=True, fields=HELLO["gemini"], query=b"")
    heard = hear("gemini", answer)
    assert heard.is_failed == (reading.error is not None)
    if not heard.is_failed:
        wanted = expected("gemini", reading)
        assert (heard.text, heard.reasoning, heard.calls, heard.finish) == (
            wanted.text,
            wanted.reasoning,
            wanted.calls,
            wanted.finish,
        )


CODES = {
    "chat": lambda body: body["error"]["code"],
    "completions": lambda body: body["error"]["code"],
    "messages": lambda body: body["error"]["code"],
    "responses": lambda body: (body.get("response") or body)["error"]["code"],
    "gemini": lambda body: body["error"]["details"][0]["reason"].lower(),
}


def check_error(dialect: str, answer: Answer, error: ProviderError) -> None:
    heard = hear(dialect, answer)
    assert heard.error is not None, "the error was told as an answer"
    if answer.status == 200:  # it came after the beginning, and is the stream's last event
        assert answer.headers["content-type"].startswith("text/event-stream")
        if dialect != "responses":  # a failed response has two words for what went wrong
            assert CODES[dialect](heard.error) == error.detail_code
        return
    assert answer.status == error.status
    assert answer.status not in (401, 403)
    assert CODES[dialect](heard.error) == error.detail_code
    if dialect == "gemini":
        assert heard.error["error"]["code"] == answer.status
    wait_s = error.retry_after_s
    assert ("retry-after" in answer.headers) == (wait_s is not None)
    if wait_s is not None:
        assert int(answer.headers["retry-after"]) == max(1, math.ceil(wait_s))


def test_every_error_that_is_a_status_was_recorded_with_one(vendors: VendorWorker) -> None:
    """An error body that is read as a 200 would test nothing."""
    for name in ALL:
        status, headers = status_of(name)
        reading = vendors.read(name, status, headers)
        is_error = reading.error is not None and name.endswith(".json")
        if is_error and status == 200:
            assert name in ("gemini/blocked.json", "gemini/malformed-call.json",
                            "openai-responses/failed.json", "bedrock/malformed.json"), name  # fmt: skip
        assert reading.error is None or type(reading.error).code != "provider_garbled", name
        if "busy" in name and status == 429:
            assert isinstance(reading.error, ProviderBusy)
