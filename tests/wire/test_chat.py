"""A chat request is read once; what is wrong with it is named with its place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from santral.errors import BadRequest
from santral.wire.chat import parse_chat

MINIMAL = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


def test_unknown_fields_are_kept_byte_for_byte() -> None:
    odd = b'{"a" : 1e5,  "b":[ 12345678901234567890123 ]}'
    call = parse_chat(MINIMAL[:-1] + b',"frobnicate":' + odd + b"}")
    assert bytes(call.fields["frobnicate"]) == odd
    assert call.view.model == "m"
    assert call.messages == [Raw(b'{"role":"user","content":"Hi"}')]


def test_text_in_parts_is_joined_and_other_parts_ride_through() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "x"}}]
    body = {"model": "m", "messages": [{"role": "user", "content": [*parts, parts[0]]}]}
    assert parse_chat(json.encode(body)).view.messages[0].text == "a\na"


def test_the_newer_output_limit_wins() -> None:
    body = {**json.decode(MINIMAL), "max_tokens": 5, "max_completion_tokens": 7}
    assert parse_chat(json.encode(body)).max_output_tokens == 7


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (MINIMAL + b" x", "invalid_json", None),
        (b"[]", "invalid_request", None),
        (b'{"model":"m"}', "invalid_request", "messages"),
        (b'{"messages":[]}', "invalid_request", "model"),
        (b'{"model":3,"messages":[]}', "invalid_request", "model"),
        (b'{"model":"m","messages":"Hi"}', "invalid_request", "messages"),
        (b'{"model":"m","messages":[null]}', "invalid_request", "messages[0]"),
        (b'{"model":"m","messages":[{"role":"boss"}]}', "invalid_request", "messages[0].role"),
        (b'{"model":"m","messages":[],"n":"2"}', "invalid_request", "n"),
        (b'{"model":"m","messages":[],"santral":{"tag":{}}}', "unknown_extra", "santral.tag"),
        (
            b'{"model":"m","messages":[],"santral":{"prompt":{"name":"a","lable":"b"}}}',
            "unknown_extra",
            "santral.prompt.lable",
        ),
        (b'{"model":"m","messages":[],"x":"\xff"}', "invalid_json", None),
        (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "invalid_json", None),
        (b'{"model":"m","messages":[],"x":' + b"[" * 50_000, "invalid_json", None),
    ],
)
def test_a_wrong_request_names_its_place(body: bytes, code: str, param: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_chat(body)
    assert caught.value.detail_code == code
    assert caught.value.param == param


def test_an_unknown_extra_offers_the_nearest() -> None:
    with pytest.raises(BadRequest, match="Did you mean 'retrieval'"):
        parse_chat(MINIMAL[:-1] + b',"santral":{"retreival":{}}}')


def is_read_or_refused(body: bytes) -> bool:
    try:
        parse_chat(body)
    except BadRequest as error:
        return error.detail_code in ("invalid_json", "invalid_request", "unknown_extra")
    return True


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_bad_request(body: bytes) -> None:
    assert is_read_or_refused(body)


@given(st.integers(0, len(MINIMAL) - 1), st.integers(0, 255))
def test_a_damaged_request_is_read_or_refused(at: int, byte: int) -> None:
    assert is_read_or_refused(MINIMAL[:at] + bytes([byte]) + MINIMAL[at + 1 :])
