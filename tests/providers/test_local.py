"""The embedded answerer as a provider and on its own, on real sentences with real analysis."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.upstreams import TimeoutsConfig
from santral.errors import ProviderRefusedRequest
from santral.providers.local.extractive import NO_SOURCES, UNKNOWN, Answerer
from santral.providers.local.passage import Analysis, read_passage
from santral.providers.local.provider import LocalProvider, tokenize
from santral.providers.local.support import MEASURED, WEIGHTS, confidence, threshold
from santral.providers.provider import ProviderCall
from santral.retrieval.analysis.analyse import detect_language, ngrams, sentences, terms
from santral.wire.delta import Delta, Source

ANALYSIS = Analysis(terms, ngrams, sentences, detect_language)

BACKUPS = """# Backups

The backup job runs every night at 02:30 and copies the control database to the bucket.
It keeps 14 daily copies and 8 weekly copies; older ones are deleted.

## Who is told

- If a backup fails twice, the on-call engineer is paged through PagerDuty.
- A restore is practised in March and September.

How long does a restore take? A restore of the control database takes about 25 minutes.
"""
KEYS = """Virtual keys are created with the command line and shown once.
A revoked key is refused within two seconds by every worker.
Ada Kaya designed the format of the keys in 2023."""
IZIN = """Yıllık izin, çalışanın ilk yılını doldurmasından sonra 14 iş günüdür.
Beş yıldan uzun süredir çalışanlara 20 iş günü izin verilir.
İzin talepleri en az iki hafta önceden yöneticiye yazılı olarak bildirilir.
Doğum izni için Ayşe Demir ile görüşülür."""
SERVIS = """Servisler sabah 07:15'te Kadıköy'den kalkar ve Gebze'deki fabrikaya gider.
Servis güzergâhı her yıl ocak ayında yenilenir."""


def source(number: int, text: str, document: str = "handbook.md", title: str = "") -> Source:
    return Source(number=number, chunk_id=f"c{number}", document=document, text=text, title=title)


ENGLISH = (source(1, BACKUPS, "backups.md", "Backups"), source(2, KEYS, "keys.md", "Virtual keys"))
TURKISH = (source(1, IZIN, "izin.md", "İzinler"), source(2, SERVIS, "servis.md", "Servisler"))


def call(question: str, sources: tuple[Source, ...] = ENGLISH, **more: Any) -> ProviderCall:
    fields = more.pop("fields", {})
    model = more.pop("model", "extractive")
    is_streaming = more.pop("is_streaming", False)
    return ProviderCall(
        model=model,
        fields={"model": "route", "messages": [], **fields},
        is_streaming=is_streaming,
        timeouts=TimeoutsConfig(),
        question=question,
        sources=sources,
    )


def deltas(made: ProviderCall) -> list[Delta]:
    provider = LocalProvider(ANALYSIS, clock=lambda: 1_700_000_000.5, new_id=lambda: "chatcmpl-1")

    async def collect() -> list[Delta]:
        return [delta async for delta in provider.stream(made)]

    return asyncio.run(collect())


def text_of(made: ProviderCall) -> str:
    return deltas(made)[0].choices[0].text


@pytest.fixture(scope="module")
def answerer() -> Answerer:
    return Answerer(ANALYSIS)


@pytest.mark.parametrize(
    ("question", "sources", "says", "number"),
    [
        ("When does the backup job run?", ENGLISH, "every night at 02:30", 1),
        ("How many weekly copies are kept?", ENGLISH, "8 weekly copies", 1),
        ("Who is paged when a backup fails twice?", ENGLISH, "on-call engineer", 1),
        ("How long does a restore take?", ENGLISH, "25 minutes", 1),
        ("Who designed the format of the keys?", ENGLISH, "Ada Kaya", 2),
        ("Yıllık izin ilk yıldan sonra kaç iş günüdür?", TURKISH, "14 iş günüdür", 1),
        ("Servisler sabah nereden kalkar?", TURKISH, "Kadıköy'den", 2),
        ("SERVISLER SABAH NEREDEN KALKAR", TURKISH, "Kadıköy'den", 2),
    ],
)
def test_the_sentence_that_answers_is_quoted_with_its_number(
    answerer: Answerer, question: str, sources: tuple[Source, ...], says: str, number: int
) -> None:
    extract = answerer.answer(question, sources)
    assert extract.is_known
    assert says in extract.text
    assert number in extract.citations
    assert f"[{number}]" in extract.text


@pytest.mark.parametrize(
    ("question", "sources", "language"),
    [
        ("What is the capital of Mongolia?", ENGLISH, "en"),
        ("Which colour is the company's logo and who drew it?", ENGLISH, "en"),
        ("Moğolistan'ın başkenti neresidir?", TURKISH, "tr"),
        ("Şirketin kuruluş sermayesi ne kadardır?", TURKISH, "tr"),
        ("what is it?", ENGLISH, "en"),
    ],
)
def test_what_the_sources_do_not_support_is_not_known(
    answerer: Answerer, question: str, sources: tuple[Source, ...], language: str
) -> None:
    extract = answerer.answer(question, sources)
    assert not extract.is_known
    assert extract.text == UNKNOWN[language]
    assert extract.confidence == 0
    assert extract.citations == []


@pytest.mark.parametrize(
    ("question", "language"), [("What is the limit?", "en"), ("Sınır nedir, kaç istek?", "tr")]
)
def test_without_sources_it_says_why_it_does_not_know(question: str, language: str) -> None:
    assert text_of(call(question, ())) == NO_SOURCES[language]


def test_an_answer_changes_with_the_documents(answerer: Answerer) -> None:
    changed = (source(1, BACKUPS.replace("02:30", "04:45")), ENGLISH[1])
    assert "04:45" in answerer.answer("When does the backup job run?", changed).text


def test_every_quote_stands_in_its_source_word_for_word(answerer: Answerer) -> None:
    for question in ("How many copies are kept?", "Who is paged when a backup fails?"):
        for quote in answerer.answer(question, ENGLISH).quotes:
            assert quote.text in " ".join(quote.source.text.split())


def test_headings_questions_and_code_are_never_quoted() -> None:
    text = (
        "# How to restore\n\nHow do I restore? Run the restore command.\n\n```\nrestore now\n```\n"
    )
    passage = read_passage(text, "", "en", ANALYSIS)
    assert [s.text for s in passage.sentences if s.is_answer] == ["Run the restore command."]


def test_markdown_is_read_as_prose() -> None:
    text = "Wrapped\nline of text.\n- **First** item with `code`\n- Second [item](https://x.y)\n"
    passage = read_passage(text, "", "en", ANALYSIS)
    assert [s.text for s in passage.sentences] == [
        "Wrapped line of text.",
        "First item with code",
        "Second item",
    ]


def test_tables_and_underlined_headings_are_read_as_people_see_them() -> None:
    text = "Limits\n------\n| name | value |\n| :--- | ---: |\n| burst | ten |\n\nEnd\n====\n"
    passage = read_passage(text, "", "en", ANALYSIS)
    assert [(s.text, s.is_answer) for s in passage.sentences] == [
        ("Limits", False),
        ("name – value", False),  # the row above the rule is its heading
        ("burst – ten", True),
        ("End", False),
    ]


def test_sentences_that_say_the_same_are_quoted_once(answerer: Answerer) -> None:
    twice = (source(1, KEYS, "a.md"), source(2, KEYS, "b.md"))
    extract = answerer.answer("Who designed the format of the keys?", twice)
    assert extract.citations == [1]
    assert extract.text.count("Ada Kaya") == 1


def test_a_passage_that_comes_twice_supports_no_less(answerer: Answerer) -> None:
    question = "Who designed the format of the keys?"
    alone = answerer.rank(question, ENGLISH)[0].support
    again = answerer.rank(question, (*ENGLISH, source(3, KEYS, "copy.md", "Virtual keys")))[0]
    assert again.support == pytest.approx(alone, abs=0.1)


def test_a_stream_joins_to_the_whole_answer_and_ends_with_usage() -> None:
    question = "When does the backup job run?"
    whole = deltas(call(question))[0]
    *pieces, end, last = deltas(call(question, is_streaming=True))
    assert "".join(delta.choices[0].text for delta in pieces) == whole.choices[0].text
    assert len(pieces) > 10
    assert all(delta.has_content and not delta.is_whole for delta in pieces)
    assert end.choices[0].finish_reason == "stop"
    assert last.choices == ()
    assert last.usage == whole.usage


def test_a_whole_answer_is_a_chat_completion() -> None:
    (delta,) = deltas(call("When does the backup job run?"))
    body = json.loads(delta.raw)
    assert delta.is_whole
    assert body["object"] == "chat.completion"
    assert body["id"] == "chatcmpl-1"
    assert body["created"] == 1_700_000_000
    assert body["choices"][0]["message"]["content"] == delta.choices[0].text
    assert body["choices"][0]["finish_reason"] == "stop"


def test_usage_counts_its_own_tokens_and_is_not_estimated() -> None:
    (delta,) = deltas(call("When does the backup job run?"))
    assert delta.usage is not None
    assert delta.usage.output_text == len(tokenize(delta.choices[0].text))
    assert delta.usage.input_uncached > len(tokenize(BACKUPS))
    assert not delta.usage.is_estimated


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_stops_at_the_length_asked_for(name: str) -> None:
    made = call("When does the backup job run?", fields={name: msgspec.Raw(b"5")})
    (delta,) = deltas(made)
    assert len(tokenize(delta.choices[0].text)) == 5
    assert delta.choices[0].finish_reason == "length"


def test_the_bound_of_the_route_holds_whatever_the_fields_say() -> None:
    made = call("When does the backup job run?", fields={"max_tokens": 50})
    made.max_output_tokens = 4
    assert len(tokenize(text_of(made))) == 4


def test_several_choices_are_several_times_the_same() -> None:
    (whole,) = deltas(call("When does the backup job run?", fields={"n": 2}))
    assert [choice.index for choice in whole.choices] == [0, 1]
    assert whole.choices[0].text == whole.choices[1].text
    streamed = deltas(call("When does the backup job run?", is_streaming=True, fields={"n": 2}))
    ends = [c for d in streamed for c in d.choices if c.finish_reason]
    assert [choice.index for choice in ends] == [0, 1]


def test_a_stream_lets_others_run_between_tokens_and_can_be_closed() -> None:
    provider = LocalProvider(ANALYSIS, clock=lambda: 0.0, new_id=lambda: "x")
    turns: list[str] = []

    async def other() -> None:
        while "closed" not in turns:
            turns.append("other")
            await asyncio.sleep(0)

    async def read() -> None:
        stream = provider.stream(call("When does the backup job run?", is_streaming=True))
        for _ in range(3):
            await anext(stream)
            turns.append("token")
        await stream.aclose()
        turns.append("closed")

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(other())
            group.create_task(read())

    asyncio.run(both())
    first, last = turns.index("token"), turns.index("closed")
    assert "other" in turns[first:last]


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    assert "".join(tokenize(text)) == text


@given(question=st.text(max_size=80), text=st.text(max_size=300))
def test_any_question_on_any_text_gets_an_answer(question: str, text: str) -> None:
    extract = Answerer(ANALYSIS).answer(question, [source(1, text, title="x")])
    assert extract.text
    assert 0 <= extract.confidence <= 1
    assert all(number == 1 for number in extract.citations)


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def with_schema(wanted: dict[str, Any], question: str = "When does the backup job run?") -> Any:
    wish = {"type": "json_schema", "json_schema": {"name": "a", "schema": wanted}}
    raw = msgspec.Raw(json.dumps(wish).encode())
    return json.loads(text_of(call(question, fields={"response_format": raw})))


def test_a_schema_is_filled_by_the_names_and_types_of_its_properties() -> None:
    filled = with_schema(
        schema(
            answer={"type": "string"},
            citations={"type": "array", "items": {"type": "integer"}},
            sources={"type": "array", "items": {"type": "string"}},
            evidence={"type": "array", "items": {"type": "string"}},
            confidence={"type": "number", "minimum": 0, "maximum": 1},
            found={"type": "boolean"},
            language={"type": "string"},
            remark={"type": ["string", "null"]},
        )
    )
    assert "02:30" in filled["answer"]
    assert "[1]" not in filled["answer"]
    assert 1 in filled["citations"]
    assert "backups.md" in filled["sources"]
    assert any("02:30" in quote for quote in filled["evidence"])
    assert 0.5 < filled["confidence"] <= 1
    assert filled["found"] is True
    assert filled["language"] == "en"
    assert filled["remark"] is None


def test_the_only_text_of_a_schema_is_the_answer_whatever_its_name() -> None:
    assert "02:30" in with_schema(schema(schedule={"type": "string"}))["schedule"]


def test_what_need_not_be_there_is_left_out() -> None:
    wanted = schema(answer={"type": "string"})
    wanted["properties"]["mood"] = {"type": "string", "enum": ["good", "bad"]}
    assert with_schema(wanted).keys() == {"answer"}


def test_an_unknown_answer_is_said_in_json_too() -> None:
    wanted = schema(answer={"type": "string"}, known={"type": "boolean"}, score={"type": "number"})
    filled = with_schema(wanted, "What is the capital of Mongolia?")
    assert filled == {"answer": UNKNOWN["en"], "known": False, "score": 0}


def test_a_json_object_without_a_schema_has_answer_citations_and_confidence() -> None:
    wish = {"response_format": {"type": "json_object"}}
    filled = json.loads(text_of(call("When does the backup job run?", fields=wish)))
    assert filled.keys() == {"answer", "citations", "confidence"}


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"type": "array"}, "describes no object"),
        (schema(answer={"type": "string"}, price={"type": "integer"}), "requires 'price'"),
        (schema(answer={"type": "string"}, mood={"enum": ["a", "b"]}), "requires 'mood'"),
        (schema(answer={"type": "string", "maxLength": 3}), "cannot be met"),
        (schema(answer={"type": "string", "$ref": "file:///etc/passwd"}), "cannot be met"),
    ],
)
def test_a_schema_that_quotes_cannot_fill_is_refused(wanted: dict[str, Any], says: str) -> None:
    with pytest.raises(ProviderRefusedRequest) as caught:
        with_schema(wanted)
    assert says in caught.value.message
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"model": "extractiv"}, "Did you mean 'extractive'"),
        ({"fields": {"tool_choice": "required"}}, "calls no tools"),
        ({"fields": {"response_format": {"type": "json_schema"}}}, "no JSON Schema"),
        ({"fields": {"response_format": msgspec.Raw(b"[" * 9999 + b"]" * 9999)}}, "too deep"),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ProviderRefusedRequest, match=says):
        deltas(call("When?", **more))


def test_the_measured_constants_are_whole() -> None:
    assert "calibrate_extractive.py" in MEASURED.origin
    assert set(MEASURED.languages) == {"en", "tr"}
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    for language, curve in MEASURED.languages.items():
        assert list(curve.support) == sorted(curve.support)
        assert list(curve.precision) == sorted(curve.precision)
        assert len(curve.support) == len(curve.precision)
        assert confidence(threshold(language), language) > 0.5
    assert threshold("other") == max(threshold("en"), threshold("tr"))
