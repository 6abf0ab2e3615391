"""Gemini's answers become the same deltas however their bytes are split."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replay import RECORDINGS

from santral.errors import (
    ContentPolicyRefused,
    ProviderFailed,
    ProviderGarbled,
    ProviderUnreachable,
)
from santral.providers.gemini.answer import GeminiReader
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail
from santral.wire.gemini import FORMAT
from santral.wire.render import fold
from santral.wire.sse import SseDecoder
from santral.wire.usage import Usage

FOLDER = RECORDINGS / "gemini"
BROKEN = {"blocked.sse", "error-inside.sse", "cut.sse"}
STREAMS = sorted(file.name for file in FOLDER.glob("*.sse") if file.name not in BROKEN)
SIGNATURE = json.loads((FOLDER / "text.json").read_bytes())["candidates"][0]["content"]["parts"][0][
    "thoughtSignature"
]


def read(name: str, cuts: tuple[int, ...] = ()) -> list[Delta]:
    """The deltas of a recording, its bytes cut at these places."""
    data = (FOLDER / name).read_bytes()
    if name.endswith(".json"):
        return read_bytes(data)
    reader, decoder = GeminiReader(), SseDecoder()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in pairwise(places)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return [d for event in events for d in reader.feed(event.data)] + reader.end()


def read_bytes(data: bytes) -> list[Delta]:
    reader = GeminiReader()
    return reader.feed(data) + reader.end()


def answer(name: str) -> ChoiceDelta:
    return fold(read(name)).choices[0]


def usage(name: str) -> Usage:
    last = read(name)[-1].usage
    assert last is not None
    return last


@pytest.mark.parametrize("name", STREAMS)
@given(cuts=st.lists(st.integers(0, 20_000), max_size=12).map(tuple))
def test_a_stream_reads_alike_however_its_bytes_are_split(name: str, cuts: tuple[int, ...]) -> None:
    assert read(name, cuts) == read(name)


@pytest.mark.parametrize("name", STREAMS)
def test_every_delta_is_a_piece_of_one_block_and_usage_comes_last(name: str) -> None:
    deltas = read(name)
    for delta in deltas:
        assert len(delta.choices) <= 1
        for choice in delta.choices:
            kinds = (choice.text, choice.reasoning, choice.tool_calls, choice.native)
            assert sum(bool(kind) for kind in kinds) <= 1
        assert not delta.raw
        assert not delta.is_whole
    assert [d.usage is not None for d in deltas] == [False] * (len(deltas) - 1) + [True]
    assert [d for d in deltas if d.choices and d.choices[0].finish_reason] == deltas[-2:-1]


def test_a_text_is_followed_by_its_signature_whole_and_streamed_alike() -> None:
    whole, streamed = answer("text.json"), answer("text.sse")
    assert whole == streamed
    assert whole.text == "İstanbul is the largest city of Türkiye."
    assert whole.finish_reason == "stop"
    assert whole.native_finish == ""
    assert whole.details == (ReasoningDetail(type="encrypted", data=SIGNATURE, format=FORMAT),)


def test_an_answer_names_itself_its_model_and_its_tier() -> None:
    for delta in read("text.sse"):
        assert (delta.id, delta.model, delta.service_tier) == (
            "WQuqavG5KbfUjMcPuP_n6QI",
            "gemini-3.7-flash",
            "default",
        )


def test_thoughts_are_reasoning_and_their_tokens_are_apart() -> None:
    thinking = answer("thinking.sse")
    assert thinking.reasoning.startswith("**Counting**")
    assert thinking.text == "Three."
    assert usage("thinking.sse") == Usage(input_uncached=12, output_text=2, reasoning=61)


def test_a_signed_thought_closes_the_reasoning_before_it() -> None:
    assert [(d.type, d.id) for d in answer("thinking-signed.json").details] == [
        ("text", "chars-18")
    ]


def test_a_call_is_whole_gets_an_id_and_keeps_its_signature_and_arguments_byte_for_byte() -> None:
    for name in ("tools.json", "tools.sse"):
        first, second = answer(name).tool_calls
        assert first.name == second.name == "get_weather"
        assert first.id != second.id
        assert first.id.startswith("call_")
        assert first.signature.startswith("AY89")
        assert second.signature == ""
        assert json.loads(first.arguments) == {"city": "Paris"}
        assert "2.5" in second.arguments
        assert answer(name).finish_reason == "tool_calls"  # Gemini says STOP
    (call,) = answer("tools-with-id.json").tool_calls
    assert (call.id, call.arguments) == ("m6rogicj", "{}")


def test_a_stop_in_the_middle_ends_nothing() -> None:
    made = answer("code.sse")
    assert made.text == "I compute it:\nIt is 58921."
    assert [type(block) for block in made.native] == [NativeBlock, NativeBlock]
    assert json.loads(made.native[1].json)["codeExecutionResult"]["output"] == "58921\n"
    assert usage("code.sse") == Usage(input_uncached=46 + 1268, output_text=45, reasoning=413)


def test_sources_are_annotations_counted_in_characters_and_ride_along_whole() -> None:
    made = answer("grounded.sse")
    said = [json.loads(bytes(raw))["url_citation"] for raw in made.annotations]
    places = [made.text[s["start_index"] : s["end_index"]] for s in said]
    assert places == ["Ankara başkenttir."] + ["Nüfusu 5,9 milyondur."] * 2
    assert [s["title"] for s in said] == ["ankara.bel.tr", "tuik.gov.tr", "ankara.bel.tr"]
    (native,) = made.native
    assert json.loads(native.json)["groundingMetadata"]["webSearchQueries"] == ["ankara nüfusu"]


def test_a_citation_is_an_annotation() -> None:
    (raw,) = answer("cited.json").annotations
    cited = json.loads(bytes(raw))["url_citation"]
    assert cited["url"].startswith("https://www.gutenberg.org/")
    assert (cited["start_index"], cited["end_index"]) == (7, 37)


def test_usage_splits_modalities_and_counts_cached_tokens_once() -> None:
    used = usage("cached-audio.json")
    assert used == Usage(
        input_uncached=1500 + 60 - 900 - 200 - 258,
        cache_read=900,
        input_audio=200,
        input_image=258,
        output_text=10,
        output_audio=30,
        reasoning=100,
    )
    assert used.total_tokens == 1700


def test_tokens_that_only_the_total_tells_are_counted() -> None:
    assert usage("gemma.sse") == Usage(input_uncached=6, output_text=3, reasoning=14)


def test_an_image_stays_whole_with_its_signature() -> None:
    (block,) = answer("image.json").native
    part = json.loads(block.json)
    assert part["inlineData"]["data"] == "iVBORw0KGgo="
    assert part["thoughtSignature"]
    assert usage("image.json").output_image == 1290


def test_log_probabilities_take_the_form_of_chat() -> None:
    made = json.loads(answer("logprobs.json").logprobs)
    (token,) = made["content"]
    assert (token["token"], token["logprob"], token["bytes"]) == ("Hi", -0.01, [72, 105])
    assert [top["token"] for top in token["top_logprobs"]] == ["Hi", "Hey"]


def test_a_filtered_answer_ends_with_content_filter_and_says_why() -> None:
    made = answer("safety.json")
    assert (made.finish_reason, made.native_finish) == ("content_filter", "SAFETY")


@pytest.mark.parametrize("name", ["blocked.json", "blocked.sse"])
def test_a_blocked_prompt_is_the_providers_policy(name: str) -> None:
    with pytest.raises(ContentPolicyRefused, match="blocked the prompt"):
        read(name)


def test_a_malformed_call_with_nothing_said_is_a_failure_that_another_attempt_may_mend() -> None:
    with pytest.raises(ProviderFailed, match=r"MALFORMED_FUNCTION_CALL.*get_weather"):
        read("malformed-call.json")


def test_a_stream_without_a_reason_to_end_was_cut() -> None:
    with pytest.raises(ProviderUnreachable):
        read("cut.sse")


def test_an_error_inside_a_stream_is_recognised() -> None:
    with pytest.raises(ProviderFailed, match="currently unavailable"):
        read("error-inside.sse")


@given(st.binary(max_size=60))
def test_garbage_is_an_error_of_the_provider(data: bytes) -> None:
    with pytest.raises((ProviderGarbled, ProviderUnreachable)):
        read_bytes(data)


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates":[{"content":{"parts":[{"text":5}]}}]}',
        b'{"candidates":{}}',
        b'{"usageMetadata":{"promptTokenCount":"many"}}',
    ],
)
def test_wrong_types_are_garbled(body: bytes) -> None:
    with pytest.raises(ProviderGarbled):
        GeminiReader().feed(body)


def test_an_empty_object_and_nulls_are_no_parts() -> None:
    reader = GeminiReader()
    body = b'{"candidates":[{"content":{"parts":[{}]},"finishReason":"STOP"}]}'
    assert reader.feed(body) == []
    assert reader.end()[0].choices[0].finish_reason == "stop"
