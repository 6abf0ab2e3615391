"""Equal requests of one tenant share a key, others never; memory stays within its bound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec import Raw

from santral.cache.answer import CachedAnswer
from santral.cache.exact import ExactCache
from santral.cache.key import NON_SEMANTIC, Scope, cache_key
from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.usage import Usage

PARTITION = {
    "tenant_id": "t",
    "route": "r",
    "policy": "p",
    "prompt": "x@1.0.0",
    "config": "c",
    "index": "7",
}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=8,
)
NAMES = TEXT.filter(lambda name: name not in NON_SEMANTIC)
FIELDS = st.dictionaries(NAMES, VALUES, max_size=5)


def key_of(fields: Mapping[str, Any], **partition: str) -> bytes:
    return cache_key(Scope(**PARTITION | partition, cap=None), fields)


def raw(fields: Mapping[str, Any]) -> dict[str, Raw]:
    """Fields as they come off the wire: the bytes of another JSON writer."""
    return {name: Raw(json.dumps(value).encode()) for name, value in fields.items()}


def shuffled(value: Any, rng: Random) -> Any:
    """The same value with the keys of every object in another order."""
    if isinstance(value, dict):
        items = [(name, shuffled(inner, rng)) for name, inner in value.items()]
        rng.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        return [shuffled(inner, rng) for inner in value]
    return value


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are one: 1 is 1.0, but not true."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return (type(a) in (int, float) and type(b) in (int, float) and a == b) or (
        type(a) is type(b) and a == b
    )


@given(FIELDS, st.randoms(use_true_random=False))
def test_the_order_of_keys_and_the_spelling_do_not_matter(
    fields: dict[str, Any], rng: Random
) -> None:
    assert key_of(fields) == key_of(shuffled(fields, rng)) == key_of(raw(fields))


@given(FIELDS, NAMES, VALUES)
def test_changing_any_field_changes_the_key(fields: dict[str, Any], name: str, value: Any) -> None:
    assume(name not in fields or not same(fields[name], value))
    assert key_of(fields) != key_of({**fields, name: value})


@given(FIELDS, FIELDS)
def test_different_requests_have_different_keys(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert (key_of(a) == key_of(b)) == same(a, b)


@given(st.dictionaries(st.sampled_from(sorted(PARTITION)), TEXT), FIELDS)
def test_no_key_crosses_tenant_route_policy_prompt_or_index(
    partition: dict[str, str], fields: dict[str, Any]
) -> None:
    is_same = {**PARTITION, **partition} == PARTITION
    assert (key_of(fields, **partition) == key_of(fields)) == is_same


@settings(max_examples=40)
@given(FIELDS, FIELDS, FIELDS)
def test_native_fields_and_headers_are_part_of_the_key(
    fields: dict[str, Any], native: dict[str, Any], other: dict[str, Any]
) -> None:
    scope = Scope(**PARTITION, cap=None)
    key = cache_key(scope, fields, native, {"anthropic-beta": "a"})
    assert (cache_key(scope, fields, other, {"anthropic-beta": "a"}) == key) == same(native, other)
    assert cache_key(scope, fields, native, {"anthropic-beta": "b"}) != key
    assert cache_key(scope, fields, native) != key
    assert (cache_key(scope, fields, native) == cache_key(scope, fields)) == (not native)


def test_the_output_cap_is_part_of_the_key() -> None:
    capped = [cache_key(Scope(**PARTITION, cap=cap), {}) for cap in (None, 0, 5, 50)]
    assert len(set(capped)) == 4


def test_parts_that_join_alike_are_told_apart() -> None:
    assert key_of({}, tenant_id="ab", route="c") != key_of({}, tenant_id="a", route="bc")
    assert key_of({}, tenant_id='a","b', route="c") != key_of({}, tenant_id="a", route='b","c')


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b"1.0"),
        (b"1", b"1e0"),
        (b"0.5", b"5E-1"),
        (b"0.10", b"0.1"),
        (b"0", b"-0.0"),
        (b"100", b"1e2"),
        (b'"\xc3\xa9"', b'"\\u00e9"'),
        (b'{"a":1,"b":2}', b'{ "b" : 2, "a" : 1 }'),
    ],
)
def test_one_value_in_two_spellings_is_one_key(one: bytes, other: bytes) -> None:
    assert key_of({"x": Raw(one)}) == key_of({"x": Raw(other)})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"1", b'"1"'),
        (b"1", b"true"),
        (b"0", b"false"),
        (b"null", b'"null"'),
        (b"[]", b"{}"),
        (b"1267650600228229401496703205376", b"1267650600228229401496703205377"),
        (b"0.1234567890123456789012345678901", b"0.1234567890123456789012345678902"),
        (b"1e400", b"1e401"),
        (b'"\xc3\xa9"', b'"e\xcc\x81"'),  # composed and decomposed: other tokens for a model
        (b'"\\ud800"', b'"\\ud801"'),  # not readable: hashed as they stand
        (b"[1,2]", b"[2,1]"),
        (b"[[1],2]", b"[1,[2]]"),
    ],
)
def test_values_that_only_look_alike_are_two_keys(one: bytes, other: bytes) -> None:
    assert key_of({"x": Raw(one)}) != key_of({"x": Raw(other)})


@pytest.mark.parametrize("name", sorted(NON_SEMANTIC))
def test_fields_that_cannot_change_the_answer_do_not_matter(name: str) -> None:
    assert key_of({"x": 1, name: "a"}) == key_of({"x": 1, name: "b"}) == key_of({"x": 1})


@pytest.mark.parametrize(
    "name", ["temperature", "seed", "n", "tools", "model", "service_tier", "logit_bias", "new-one"]
)
def test_fields_that_can_do(name: str) -> None:
    assert key_of({name: 1}) != key_of({name: 2})
    assert key_of({name: 1}) != key_of({})
    assert key_of({name: None}) != key_of({}), "given as null is not the same as not given"


def test_a_message_given_as_a_dict_or_as_bytes_is_one() -> None:
    message = {"role": "user", "content": "Merhaba"}
    as_bytes = Raw(b'{"content":"Merhaba",  "role":"user"}')
    assert key_of({"messages": [message]}) == key_of({"messages": [as_bytes]})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def answer(text: str = "Hi", finish: str | None = "stop", **more: Any) -> CachedAnswer:
    return CachedAnswer(
        (
            Delta(choices=(ChoiceDelta(text=text, **more),)),
            Delta(choices=(ChoiceDelta(finish_reason=finish),)),
            Delta(usage=Usage(output_text=1)),
        )
    )


def test_what_was_put_comes_back_until_its_time_is_over() -> None:
    clock = Clock()
    cache = ExactCache(10_000, clock)
    assert cache.get(b"k") is None
    assert cache.put(b"k", answer(), 60)
    clock.now += 59
    assert cache.get(b"k") == answer()
    clock.now += 1
    assert cache.get(b"k") is None
    assert (cache.hits, cache.misses, len(cache), cache.size_bytes) == (1, 2, 0, 0)


@pytest.mark.parametrize(
    "kept_out",
    [
        answer(finish=None),
        answer(finish="content_filter"),
        answer(finish="error"),
        answer(refusal="I cannot"),
        CachedAnswer(()),
        CachedAnswer((Delta(usage=Usage()),)),
        CachedAnswer((*answer().deltas, Delta(choices=(ChoiceDelta(index=1, text="cut"),)))),
    ],
)
def test_cut_filtered_and_refused_answers_are_never_kept(kept_out: CachedAnswer) -> None:
    cache = ExactCache(10_000, Clock())
    assert not cache.put(b"k", kept_out, 60)
    assert cache.get(b"k") is None


@pytest.mark.parametrize("finish", ["stop", "length", "tool_calls", "function_call"])
def test_natural_ends_are_kept(finish: str) -> None:
    assert ExactCache(10_000, Clock()).put(b"k", answer(finish=finish), 60)


def test_a_whole_answer_is_kept_as_it_is() -> None:
    whole = Delta(choices=(ChoiceDelta(text="a", finish_reason="stop"),), is_whole=True, raw=b"{}")
    cache = ExactCache(10_000, Clock())
    cache.put(b"k", CachedAnswer((whole,)), 60)
    assert cache.get(b"k") == CachedAnswer((whole,))


def test_the_least_recently_used_goes_first() -> None:
    size = answer().size_bytes
    cache = ExactCache(2 * size, Clock())
    cache.put(b"a", answer(), 60)
    cache.put(b"b", answer(), 60)
    cache.get(b"a")
    cache.put(b"c", answer(), 60)
    assert [cache.get(key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
    assert cache.evictions == 1


def test_an_answer_larger_than_the_cache_displaces_nothing() -> None:
    cache = ExactCache(answer().size_bytes, Clock())
    cache.put(b"a", answer(), 60)
    assert not cache.put(b"b", answer("long" * 5000), 60)
    assert cache.get(b"a") is not None


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3000), st.integers(0, 30)), max_size=60)
)
def test_memory_stays_within_its_bound_and_the_count_is_right(
    steps: list[tuple[int, int, int]],
) -> None:
    clock = Clock()
    cache = ExactCache(6000, clock)
    for number, length, seconds in steps:
        cache.put(bytes([number]), answer("x" * length), 20)
        clock.now += seconds
        cache.get(bytes([(number + 1) % 6]))
        held = [entry.size_bytes for entry in cache._entries.values()]
        assert cache.size_bytes == sum(held) <= 6000
    cache.clear()
    assert (cache.size_bytes, len(cache)) == (0, 0)


def test_the_size_of_an_answer_counts_its_texts_and_its_bytes() -> None:
    raw_delta = msgspec.structs.replace(answer().deltas[0], raw=b"x" * 700)
    assert CachedAnswer((raw_delta,)).size_bytes >= 700
    assert answer("x" * 5000).size_bytes >= 5000
