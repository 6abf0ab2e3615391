"""Requests of tasks and their answers: read with care, written for every client."""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import BadRequest, ProviderGarbled
from santral.wire.embeddings import (
    Embeddings,
    dimensions_of,
    inputs_of,
    parse_embeddings,
    read_embeddings,
    render_embeddings,
    shortened,
)
from santral.wire.moderations import count_of, parse_moderation, render_moderation
from santral.wire.rerank import (
    Ranking,
    document_text,
    parse_rerank,
    read_ranking,
    render_ranking,
)

RECORDINGS = Path(__file__).parents[1] / "recordings" / "tasks"


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@pytest.mark.parametrize(
    ("given_input", "texts", "count"),
    [
        ("a", ["a"], 1),
        (["a", "b"], ["a", "b"], 2),
        ([1, 2, 3], [], 1),
        ([[1, 2], [3]], [], 2),
    ],
)
def test_inputs_are_texts_or_token_ids(given_input: Any, texts: list[str], count: int) -> None:
    request = parse_embeddings(body(input=given_input))
    assert request.texts == texts
    assert len(inputs_of(request.fields["input"])) == count


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", 1]}, "input[1]"),
        ({"input": [["a"]]}, None),
        ({"input": [True]}, None),
        ({"input": [-1]}, None),
        ({"input": [[]]}, None),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": "3"}, "dimensions"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "a", "santral": {"prompt": {"name": "x"}}}, "santral.prompt"),
        ({"input": "a", "santral": {"sesion": "x"}}, "santral.sesion"),
    ],
)
def test_a_malformed_embeddings_request_names_the_place(
    fields: dict[str, Any], param: str | None
) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_embeddings(body(**fields))
    if param is not None:
        assert caught.value.param == param


def test_an_unknown_extra_names_the_nearest_and_all() -> None:
    with pytest.raises(BadRequest, match="Did you mean 'session'"):
        parse_embeddings(body(input="a", santral={"sesion": "x"}))
    with pytest.raises(BadRequest, match="session, user, tags, cache"):
        parse_embeddings(body(input="a", santral={"zzz": 1}))


@pytest.mark.parametrize("raw", [b"{", b'{"model":"\xff"}', b'{"model":"m","input":"\\ud800"}'])
def test_what_is_no_json_is_refused_as_that(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_embeddings(raw)
    assert caught.value.detail_code == "invalid_json"


def test_texts_go_back_where_they_stood() -> None:
    request = parse_rerank(
        body(query="q", documents=["a", {"text": "b", "id": 7, "title": "c"}], extra=[1])
    )
    assert request.texts == ["q", "a", "b", "c"]
    request.put_back(["Q", "A", "B", "C"])
    assert request.fields["query"] == "Q"
    assert request.fields["documents"] == ["A", {"text": "B", "id": 7, "title": "C"}]
    assert bytes(request.fields["extra"]) == b"[1]"
    assert request.messages[0] == {"role": "query", "content": "Q"}


NUMBERS = st.lists(
    st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8
)


@given(NUMBERS)
def test_a_vector_survives_both_forms(numbers: list[float]) -> None:
    as_text = render_embeddings(Embeddings([numbers]), "m", 1, "base64")
    text = json.loads(as_text)["data"][0]["embedding"]
    assert list(struct.unpack(f"<{len(numbers)}f", base64.b64decode(text))) == numbers
    back = render_embeddings(Embeddings([text]), "m", 1, "float")
    assert json.loads(back)["data"][0]["embedding"] == numbers
    assert dimensions_of(text) == len(numbers)


def test_the_documented_answers_hold_the_same_numbers() -> None:
    plain, coded = (
        read_embeddings((RECORDINGS / f"{name}.json").read_bytes(), 1)
        for name in ("openai-embeddings", "openai-embeddings-base64")
    )
    assert render_embeddings(plain, "m", 8, "base64") == render_embeddings(coded, "m", 8, "base64")
    assert plain.prompt_tokens == coded.prompt_tokens == 8


def test_numbers_that_came_as_numbers_are_not_touched() -> None:
    answer = render_embeddings(Embeddings([[0.1, 2e-9]]), "m", 1, "float")
    assert json.loads(answer)["data"][0]["embedding"] == [0.1, 2e-9]


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 2, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": -1, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": None}, {"index": 1, "embedding": [1.0]}],
    ],
)
def test_rows_that_do_not_fit_the_inputs_are_garbled(rows: list[Any]) -> None:
    with pytest.raises(ProviderGarbled):
        read_embeddings(json.dumps({"data": rows}).encode(), 2)


@pytest.mark.parametrize(
    "vectors",
    [
        [[]],
        [[math.nan]],
        [[math.inf, 1.0]],
        [[1.0], [1.0, 2.0]],
        [packed(math.nan)],
        [packed(1.0, math.inf)],
        [""],
        ["AAAA="],
        ["not base64"],
        [packed(1.0)[:-1]],
    ],
)
@pytest.mark.parametrize("wanted", ["float", "base64"])
def test_a_vector_that_is_none_is_garbled(vectors: list[Any], wanted: Any) -> None:
    with pytest.raises(ProviderGarbled):
        render_embeddings(Embeddings(vectors), "m", 1, wanted)


def test_a_number_too_large_for_float32_is_garbled_in_base64() -> None:
    with pytest.raises(ProviderGarbled):
        render_embeddings(Embeddings([[1e300]]), "m", 1, "base64")


@given(NUMBERS.filter(lambda n: abs(n[0]) > 1e-3), st.integers(1, 8))
def test_a_shortened_vector_has_unit_length(numbers: list[float], dimensions: int) -> None:
    (vector,) = shortened([numbers], dimensions)
    assert len(vector) == min(dimensions, len(numbers))
    assert math.isclose(math.sqrt(sum(n * n for n in map(float, vector))), 1.0, rel_tol=1e-6)


def test_a_zero_vector_stays_zero() -> None:
    assert shortened([[0.0, 0.0, 1.0]], 2) == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"documents": ["a"]}, "query"),
        ({"query": "q"}, "documents"),
        ({"query": "q", "documents": []}, "documents"),
        ({"query": "q", "documents": [7]}, "documents[0]"),
        ({"query": "q", "documents": [{"n": 7}]}, "documents[0]"),
        ({"query": "q", "documents": ["a"], "top_n": 0}, "top_n"),
    ],
)
def test_a_malformed_rerank_request_names_the_place(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_rerank(body(**fields))
    assert caught.value.param == param


def test_the_text_of_a_document_is_what_is_ranked() -> None:
    assert document_text("a", None) == "a"
    assert document_text({"text": "a", "title": "b"}, None) == "a"
    assert document_text({"text": "a", "title": "b"}, ["title", "text"]) == "title: b\ntext: a"
    assert document_text({"title": "b", "n": 1}, None) == "title: b"


def test_a_ranking_is_best_first_and_fits_the_documents() -> None:
    raw = b'{"results":[{"index":0,"relevance_score":0.1},{"index":1,"relevance_score":0.9}]}'
    assert [r.index for r in read_ranking(raw, 2).results] == [1, 0]
    for count, bad in ((1, raw), (2, raw.replace(b'"index":1', b'"index":0')), (2, b"[]")):
        with pytest.raises(ProviderGarbled):
            read_ranking(bad, count)


def test_coheres_and_jinas_clients_find_what_they_look_for() -> None:
    ranking = read_ranking((RECORDINGS / "jina-rerank.json").read_bytes(), 3)
    answer = json.loads(
        render_ranking(
            ranking, request_id="r", model="m", tokens=9, documents=["a", "b", {"text": "c"}]
        )
    )
    assert answer["results"][0] == {
        "index": 0,
        "relevance_score": 0.8783142566680908,
        "document": {"text": "a"},
    }
    assert answer["results"][1]["document"] == {"text": "c"}
    assert answer["meta"]["api_version"]["version"] == "2"
    assert answer["usage"]["total_tokens"] == 9
    without = render_ranking(
        Ranking([], search_units=2), request_id="r", model="m", tokens=0, documents=None
    )
    assert json.loads(without)["meta"]["billed_units"] == {"search_units": 2}


@pytest.mark.parametrize(
    ("given_input", "texts", "count"),
    [
        ("a", ["a"], 1),
        (["a", "b"], ["a", "b"], 2),
        (
            [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            ],
            ["a"],
            1,
        ),
    ],
)
def test_moderation_reads_texts_and_text_parts(
    given_input: Any, texts: list[str], count: int
) -> None:
    request = parse_moderation(body(input=given_input))
    assert request.texts == texts
    assert count_of(request.fields["input"]) == count


@pytest.mark.parametrize(
    "given_input",
    [
        None,
        [],
        7,
        [7],
        [{"type": "text"}],
        [{"type": "audio"}],
        ["a", {"type": "text", "text": "b"}],
    ],
)
def test_a_malformed_moderation_request_names_the_place(given_input: Any) -> None:
    with pytest.raises(BadRequest, match=r"input|part"):
        parse_moderation(body(input=given_input))


def test_a_moderation_is_passed_on_as_it_came() -> None:
    raw = (RECORDINGS / "openai-moderation.json").read_bytes()
    answer = render_moderation(raw, count=1, request_id="r", model="m")
    assert json.loads(answer) == json.loads(raw)
    for bad, count in ((raw, 2), (b'{"results":[{}]}', 1), (b"<html>", 1)):
        with pytest.raises(ProviderGarbled):
            render_moderation(bad, count=count, request_id="r", model="m")
