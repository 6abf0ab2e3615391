"""Citations reach every client in its own protocol, whole and streamed, with document and place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.gateway.citations.answers import cited, notes, text_of
from tests.gateway.dialects_in import HELLO, ask
from tests.gateway.worker import Answer, Worker, saying, streamed

from santral.wire.delta import ChoiceDelta, Piece, Source

DIALECTS = ("chat", "messages", "responses", "gemini")

TOML = """
[data]
folder = "."
[providers.up]
kind = "openai"
base_url = "http://up.test/v1"
[deployments.one]
provider = "up"
model = "m-one"
[collections.docs]
[policies.mask]
output = [{ check = "pii" }]
"""
ROUTES = {
    "found": 'retrieval = { collection = "docs" }',
    "stripped": 'retrieval = { collection = "docs", citations = "strip" }',
    "kept": 'retrieval = { collection = "docs", citations = "keep" }',
    "masked": 'retrieval = { collection = "docs" }\npolicy = "mask"',
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    routes = "".join(
        f"[routes.{name}]\nladder = [{{ deployments = {{ one = 1 }} }}]\n{more}\n"
        for name, more in ROUTES.items()
    )
    worker = Worker(tmp_path_factory.mktemp("worker"), TOML + routes)
    yield worker
    worker.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    running.find(RULES, FINES)
    return running


_FIRST = "The library opens at nine. "
_SECOND = "It closes at eight on working days."
RULES = Source(
    number=1, chunk_id="c1", document="rules.pdf", title="House rules", section="Hours",
    text=_FIRST + _SECOND, page=3, document_id="doc-rules", collection="docs",
    pieces=(
        Piece(chunk_id="c1", at=0, end=len(_FIRST), start=200, page=3),
        Piece(
            chunk_id="c1", at=len(_FIRST), end=len(_FIRST + _SECOND), start=200 + len(_FIRST), page=4
        ),
    ),
)  # fmt: skip
FINES = Source(
    number=2, chunk_id="c2", document="fines.md", title="Fines", url="https://lib.test/fines",
    text="Ask ada@example.com about fines. A late book costs 40 cents a day.",
    document_id="doc-fines", collection="docs",
    pieces=(Piece(chunk_id="c2", at=0, end=66, start=0),),
)  # fmt: skip

ANSWER = "It closes at eight [1]. Each late day costs 40 cents [2, 9], it opens at nine 【1】."
SAID = "It closes at eight [1]. Each late day costs 40 cents [2], it opens at nine 【1】."


def say(worker: Worker, dialect: str, text: str, route: str, *, stream: bool, size: int) -> Answer:
    answer = ChoiceDelta(text=text)
    worker.provider.will(streamed(answer, size=size) if stream else saying(answer))
    return ask(worker, dialect, route, stream=stream, fields=HELLO[dialect])


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_citations_in_every_dialect(worker: Worker, dialect: str, stream: bool, size: int) -> None:
    answer = say(worker, dialect, ANSWER, "found", stream=stream, size=size)
    assert text_of(dialect, answer) == SAID, "the number that was not given is taken out"
    made = {(c.number, c.document_id, c.page, c.start, c.end): c for c in cited(dialect, answer)}
    closing, fine, opening = made.values()
    assert (closing.number, closing.page, closing.quote) == (1, 4, _SECOND)
    assert (closing.start, closing.end) == (200 + len(_FIRST), 200 + len(_FIRST + _SECOND))
    assert (opening.number, opening.page, opening.quote) == (1, 3, _FIRST.strip())
    assert (fine.document_id, fine.page, fine.quote) == (
        "doc-fines", None, "A late book costs 40 cents a day.",
    )  # fmt: skip
    assert closing.claim == "It closes at eight"
    assert fine.claim == "Each late day costs 40 cents"
    assert opening.claim.endswith("it opens at nine")
    assert worker.record.sources[0].is_cited


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_protocol_has_its_own_form(worker: Worker, dialect: str, stream: bool) -> None:
    answer = say(worker, dialect, ANSWER, "found", stream=stream, size=4)
    closing, fine, *_ = notes(dialect, answer)
    if dialect == "chat":
        url = fine["url_citation"]
        assert (fine["type"], url["url"], url["title"]) == (
            "url_citation", "https://lib.test/fines", "Fines",
        )  # fmt: skip
        assert SAID[url["start_index"] : url["end_index"]] == "[2]"
        assert closing["url_citation"]["url"] == "santral://docs/doc-rules"
    elif dialect == "messages":
        assert closing["type"] == "char_location"
        assert (closing["cited_text"], closing["start_char_index"]) == (_SECOND, 227)
        assert (fine["type"], fine["source"]) == (
            "search_result_location", "https://lib.test/fines",
        )  # fmt: skip
    elif dialect == "responses":
        assert (closing["type"], closing["file_id"]) == ("file_citation", "doc-rules")
        assert (fine["type"], fine["url"]) == ("url_citation", "https://lib.test/fines")
    else:
        assert closing["retrievedContext"]["ragChunk"]["pageSpan"] == {
            "firstPage": 4, "lastPage": 4,
        }  # fmt: skip
        assert fine["retrievedContext"]["uri"] == "https://lib.test/fines"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_text_of_anthropic_s_ends_with_what_it_cites(worker: Worker, stream: bool) -> None:
    answer = say(worker, "messages", ANSWER, "found", stream=stream, size=3)
    if not stream:
        blocks = answer.json["content"]
        assert [b["text"] for b in blocks] == [
            "It closes at eight [1]",
            ". Each late day costs 40 cents [2]",
            ", it opens at nine 【1】",
            ".",
        ]
        assert [len(b.get("citations") or ()) for b in blocks] == [1, 1, 1, 0]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_chat_lists_the_documents_that_an_answer_cites(worker: Worker, stream: bool) -> None:
    answer = say(worker, "chat", "It opens at nine [1] [1].", "found", stream=stream, size=4)
    bodies = answer.events if stream else [answer.json]
    told = [body["santral"]["sources"] for body in bodies if "santral" in body]
    assert len(told) == 1, "once, with the end"
    assert [(s["number"], s["title"], s["section"]) for s in told[0]] == [
        (1, "House rules", "Hours")
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_route_may_keep_marks_or_take_them_out(
    worker: Worker, dialect: str, stream: bool
) -> None:
    kept = say(worker, dialect, ANSWER, "kept", stream=stream, size=3)
    assert (text_of(dialect, kept), notes(dialect, kept)) == (ANSWER, [])
    stripped = say(worker, dialect, ANSWER, "stripped", stream=stream, size=3)
    assert text_of(dialect, stripped) == (
        "It closes at eight. Each late day costs 40 cents, it opens at nine."
    )
    assert {c.number for c in cited(dialect, stripped)} == {1, 2}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_a_citation_quotes_passes_the_policy_of_answers(
    worker: Worker, dialect: str, stream: bool
) -> None:
    answer = say(worker, dialect, "Ask about fines [2].", "masked", stream=stream, size=3)
    assert b"ada@example.com" not in answer.body
    assert [c.quote for c in cited(dialect, answer)] == ["Ask [EMAIL_1] about fines."]


def test_numbers_that_were_not_given_are_counted(worker: Worker) -> None:
    family = worker.process.metrics["santral_citations_total"]
    before = family.child("made").value, family.child("dropped").value
    say(worker, "chat", ANSWER, "found", stream=False, size=3)
    after = family.child("made").value, family.child("dropped").value
    assert (after[0] - before[0], after[1] - before[1]) == (3, 1)


def test_an_answer_without_marks_keeps_its_bytes(worker: Worker) -> None:
    plain = say(worker, "chat", "Nothing-is-cited-here", "kept", stream=True, size=3).body
    worker.records.clear()
    assert say(worker, "chat", "Nothing-is-cited-here", "found", stream=True, size=3).body == plain


def test_our_citations_are_not_sent_on_when_a_client_brings_them_back(worker: Worker) -> None:
    answer = say(worker, "messages", ANSWER, "found", stream=False, size=3)
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "When?"},
        {"role": "assistant", "content": answer.json["content"]},
        {"role": "user", "content": "And on Sundays?"},
    ]
    fields = {"messages": turns, "max_tokens": 100}
    assert ask(worker, "messages", "found", stream=False, fields=fields).status == 200
    assert "char_location" not in json.dumps(worker.provider.asked[-1].fields)
