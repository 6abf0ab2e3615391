"""A masked stream says what the masked whole says, wherever it is cut."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from santral.errors import OutputRefused
from santral.guardrails.entities.mask import Placeholders
from santral.guardrails.policy import Policy
from santral.guardrails.stream import MAX_HELD, StreamMask

Mask = Callable[[str], str]

ENTITIES = [
    "ali@example.com",
    "0532 123 45 67",
    "+90 (532) 123-45-67",
    "(415) 555-2671",
    "00 49 30 123456",
    "4111 1111 1111 1111",
    "4111111111111111",
    "10000000146",
    "100 000 001 46",
    "1 0 0 0 0 0 0 0 1 4 6",
    "TR33 0006 1005 1978 6457 8413 26",
    "GB29NWBK60161331926819",
    "sk-proj-abcdefghij1234567890XYZ",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "password: hunter2!",
    "şifre = 'uzun bir parola 1'",
    '"api_key": "abcd1234efgh"',
    "Bearer abcdef0123456789abcdef",
    "postgres://u:p4s!s@h/db",
    "my password is tr0ub4dor",
    "-----BEGIN PRIVATE KEY-----\nMIIEowIBAAKCAQEA1234567890abcdef\nabc=\n-----END PRIVATE KEY-----",
    "ａｌｉ＠example.com",
    "a\u200bli@exa\u200bmple.com",
]
FILLERS = [
    *" \n,.-/()x0'\"=:+@_!?[]{}|<>",
    " ve ",
    ". The ",
    "İstanbul'da ",
    "'a ",
    "1234 5678 9012 ",
    "3.1415926535",
    "the password ",
    "api ",
    "key",
    "sk-",
    "eyJ",
    "TR33 ",
    "-----BEGIN ",
    "bearer ",
    "is ",
    "://",
    "日本",
    "\u200b",
    "😀",
    "½",
    "[EMAIL_1]",
]
LONG = ["0123456789", "ABCabc012+/", "1 2 3 ", "@a.", "sk-ab1", "1234 ", "x y ", "password=a1!"]

long_runs = st.builds(
    lambda letters, length, seed: "".join(random.Random(seed).choices(letters, k=length)),
    st.sampled_from(LONG),
    st.integers(300, 1400),
    st.integers(0, 10_000),
)
texts = st.lists(
    st.one_of(
        st.sampled_from(ENTITIES),
        st.sampled_from(FILLERS),
        st.sampled_from(FILLERS),
        st.text(max_size=6),
    ),
    max_size=14,
).map("".join)
long_texts = st.tuples(texts, long_runs, texts).map("".join)


def streamed(policy: Policy, pieces: list[str]) -> str:
    mask = StreamMask(policy.output)
    return "".join([*map(mask.push, pieces), mask.flush()])


def cut(text: str, seed: int, longest: int) -> list[str]:
    rng = random.Random(seed)
    pieces: list[str] = []
    while text:
        size = rng.randint(1, longest)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@given(texts, st.integers(0, 10_000), st.sampled_from([1, 4, 8, 60]))
@settings(max_examples=80, deadline=None)
@example("TR33 GB29NWBK60161331926819://", 0, 1)
@example("0532 123 45 67ali@example.com ", 0, 1)
@example("the password ://1 0 0 0 0 0 0 0 1 4 6 1 ", 0, 1)
def test_any_split_gives_the_mask_of_the_whole(
    everything: Policy, mask: Mask, text: str, seed: int, longest: int
) -> None:
    assert streamed(everything, cut(text, seed, longest)) == mask(text)


@given(long_texts, st.integers(0, 10_000), st.sampled_from([8, 60, 2000]))
@settings(max_examples=15, deadline=None)
def test_long_runs_do_not_break_the_equality(
    everything: Policy, mask: Mask, text: str, seed: int, longest: int
) -> None:
    assert streamed(everything, cut(text, seed, longest)) == mask(text)


@given(texts)
@settings(max_examples=80, deadline=None)
def test_masking_twice_is_masking_once(mask: Mask, text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize("entity", ENTITIES)
def test_an_entity_cut_anywhere_never_leaks(everything: Policy, mask: Mask, entity: str) -> None:
    text = f"Say {entity} again."
    whole = mask(text)
    assert entity not in whole
    for position in range(len(text) + 1):
        assert streamed(everything, [text[:position], text[position:]]) == whole


def test_prose_waits_for_its_last_word_only(everything: Policy) -> None:
    mask = StreamMask(everything.output)
    assert mask.push("The order was ship") == "The order was "
    assert mask.held_characters == 4
    assert mask.push("ped. ") == "shipped. "
    assert mask.held_characters == 0


def test_a_key_longer_than_the_cap_leaves_as_its_placeholder_and_no_more(
    everything: Policy,
) -> None:
    mask = StreamMask(everything.output)
    out = [mask.push("key sk-A1")] + [mask.push("abcdefgh12") for _ in range(300)]
    assert mask.held_characters <= MAX_HELD
    assert "".join(out) == "key [API_KEY_1]"
    assert mask.push(" end") + mask.flush() == " end"


def test_no_stream_holds_more_than_the_cap(everything: Policy) -> None:
    for run in ("1 2 3 4 " * 9, "abc123" * 9, "a@" * 9, "1234 " * 9, "eyJa" * 9):
        mask = StreamMask(everything.output)
        for _ in range(30):
            mask.push(run)
            assert mask.held_characters <= MAX_HELD + len(run)


def test_placeholders_go_on_counting_from_the_input(everything: Policy) -> None:
    placeholders = Placeholders()
    placeholders.name("EMAIL", "ali@example.com")
    mask = StreamMask(everything.output, placeholders)
    assert mask.push("veli@example.com ali@example.com ") == "[EMAIL_2] [EMAIL_1] "


def test_a_refusing_check_stops_the_stream_before_the_value_leaves(
    make_policy: Callable[..., Policy],
) -> None:
    policy = make_policy(output=[{"check": "secrets", "action": "refuse"}])
    mask = StreamMask(policy.output)
    sent = mask.push("The key is ") + mask.push("sk-proj-abcdefghij1234567890")
    with pytest.raises(OutputRefused, match="API_KEY") as caught:
        mask.push("XYZ and ")
    assert sent == "The key is "
    assert caught.value.check == "secrets"
    assert "abcdefghij" not in caught.value.message


def test_a_reporting_check_lets_the_value_pass_and_says_so(
    make_policy: Callable[..., Policy],
) -> None:
    policy = make_policy(output=[{"check": "pii", "action": "report"}])
    mask = StreamMask(policy.output)
    assert mask.push("ali@example.com ") + mask.flush() == "ali@example.com "
    (verdict,) = mask.verdicts()
    assert (verdict.verdict, verdict.action, verdict.count) == ("found", "report", 1)


def test_an_answer_over_its_length_is_stopped(make_policy: Callable[..., Policy]) -> None:
    policy = make_policy(output=[{"check": "length", "max_tokens": 10}])
    mask = StreamMask(policy.output)
    mask.push("a few words ")
    with pytest.raises(OutputRefused, match="at most 10"):
        mask.push("and many, many more words than were asked for")


class _Broken:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("broken")


@pytest.mark.parametrize("failure", ["closed", "open"])
def test_a_broken_check_fails_as_the_policy_says(
    make_policy: Callable[..., Policy], failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy(output=[{"check": "pii", "on_failure": failure}])
    mask = StreamMask(policy.output)
    monkeypatch.setattr(mask, "_eye", _Broken())
    if failure == "closed":
        with pytest.raises(OutputRefused, match="failed"):
            mask.push("ali@example.com ")
    else:
        assert mask.push("some ") + mask.push("text") + mask.flush() == "some text"
