"""Several keys are used in turn; one that is refused rests, and only when none is left it is an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from tests.replay import Recording, Replay

from santral.config.secret import SecretRef
from santral.config.upstreams import ProviderConfig, TimeoutsConfig
from santral.errors import (
    ConfigError,
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefusedKey,
)
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.connection import Connection, connect_to
from santral.providers.keys import DEAD_S, MAX_DEAD_S, TOKEN_S, KeyRotation, ProviderKey
from santral.providers.openai.provider import OpenAIProvider
from santral.providers.provider import ProviderCall
from santral.providers.vendor import Vendor
from santral.wire.delta import Delta
from santral.wire.render import fold

SECRETS = ("sk-one-0123456789", "sk-two-0123456789", "sk-three-01234567")
PATIENT = TimeoutsConfig(connect_s=2, first_delta_s=5, between_deltas_s=5, total_s=10)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rotation(clock: Clock, count: int = 3) -> KeyRotation:
    keys = [ProviderKey(number, f"sk-{number}", {}) for number in range(1, count + 1)]
    return KeyRotation("openai", keys, clock)


def busy(wait_s: float | None = None) -> ProviderBusy:
    return ProviderBusy("slow down", upstream_status=429, retry_after_s=wait_s)


def refused(status: int = 401) -> ProviderRefusedKey:
    return ProviderRefusedKey("no such key", upstream_status=status)


def taken(keys: KeyRotation, count: int, model: str = "") -> list[int]:
    return [keys.take(model).number for _ in range(count)]


def test_keys_are_used_in_turn() -> None:
    assert taken(rotation(Clock()), 7) == [1, 2, 3, 1, 2, 3, 1]


def test_a_key_that_waits_for_its_rate_limit_comes_back_when_it_said() -> None:
    clock = Clock()
    keys = rotation(clock)
    assert keys.failed(keys.take(), busy(20)) is None, "another key may be asked at once"
    assert taken(keys, 4) == [2, 3, 2, 3]
    clock.now += 20
    assert 1 in taken(keys, 3)


def test_a_rate_limit_is_the_models_and_a_refused_key_is_everybodys() -> None:
    keys = rotation(Clock(), 2)
    keys.failed(keys.take("large"), busy(20), "large")
    assert taken(keys, 2, "large") == [2, 2]
    assert set(taken(keys, 2, "small")) == {1, 2}
    keys.failed(ProviderKey(1, "", {}), refused(401), "large")
    assert set(taken(keys, 2, "small")) == {2}


def test_a_key_that_may_not_use_one_model_may_use_others() -> None:
    keys = rotation(Clock(), 2)
    keys.failed(keys.take("large"), refused(403), "large")
    assert taken(keys, 2, "large") == [2, 2]
    assert set(taken(keys, 2, "small")) == {1, 2}


def test_a_dead_key_is_asked_ever_more_seldom_until_it_works() -> None:
    clock = Clock()
    keys = rotation(clock, 2)
    first = ProviderKey(1, "", {})
    for rest_s in (DEAD_S, 2 * DEAD_S, 4 * DEAD_S, 8 * DEAD_S, MAX_DEAD_S, MAX_DEAD_S):
        keys.failed(first, refused())
        clock.now += rest_s - 1
        assert taken(keys, 2) == [2, 2]
        clock.now += 1
        assert 1 in taken(keys, 2)
    keys.worked(first)
    keys.failed(first, refused())
    clock.now += DEAD_S
    assert 1 in taken(keys, 2), "the first rest is short again"


def test_when_every_key_waits_the_soonest_says_when() -> None:
    keys = rotation(Clock(), 2)
    keys.failed(keys.take(), busy(20))
    error = keys.failed(keys.take(), busy(5))
    assert isinstance(error, ProviderBusy)
    assert error.retry_after_s == 5
    with pytest.raises(ProviderBusy) as caught:
        keys.take()
    assert caught.value.retry_after_s == 5


def test_one_key_that_only_waits_makes_the_provider_busy_and_not_refused() -> None:
    keys = rotation(Clock(), 2)
    keys.failed(keys.take(), busy(20))
    error = keys.failed(keys.take(), refused())
    assert isinstance(error, ProviderBusy)
    assert error.retry_after_s == 20


def test_when_every_key_is_refused_an_operator_has_to_act() -> None:
    keys = rotation(Clock(), 2)
    keys.failed(keys.take(), refused())
    error = keys.failed(keys.take(), refused())
    assert isinstance(error, ProviderRefusedKey)
    assert "every one of its 2 keys" in error.message
    assert "no such key" in error.message, "what the provider said last helps most"


def test_a_sole_key_never_rests() -> None:
    keys = rotation(Clock(), 1)
    error = refused()
    assert keys.failed(keys.take(), error) is error
    assert keys.take().number == 1
    assert keys.states() == {"living": 0, "busy": 0, "dead": 1}


def test_other_failures_say_nothing_about_a_key() -> None:
    keys = rotation(Clock())
    error = ProviderFailed("broken")
    assert keys.failed(keys.take(), error) is error
    assert keys.states() == {"living": 3, "busy": 0, "dead": 0}


def test_states_are_counted() -> None:
    keys = rotation(Clock())
    keys.failed(keys.take(), busy(20), "large")
    keys.failed(keys.take(), refused())
    assert keys.states() == {"living": 1, "busy": 1, "dead": 1}


@given(
    st.lists(st.tuples(st.sampled_from(["ok", "busy", "refused"]), st.floats(0, 900)), max_size=60)
)
def test_a_key_is_never_taken_while_it_rests(steps: list[tuple[str, float]]) -> None:
    clock = Clock()
    keys = rotation(clock)
    until = {1: 0.0, 2: 0.0, 3: 0.0}
    refusals = {1: 0, 2: 0, 3: 0}
    for outcome, passed in steps:
        try:
            key = keys.take()
        except (ProviderBusy, ProviderRefusedKey):
            assert all(moment > clock.now for moment in until.values())
            clock.now += passed + 1
            continue
        assert until[key.number] <= clock.now
        refusals[key.number] = refusals[key.number] + 1 if outcome == "refused" else 0
        if outcome == "ok":
            keys.worked(key)
        elif outcome == "busy":
            keys.failed(key, busy(passed))
            until[key.number] = clock.now + passed
        else:
            keys.failed(key, refused())
            rest_s = min(DEAD_S * 2 ** (refusals[key.number] - 1), MAX_DEAD_S)
            until[key.number] = clock.now + rest_s
        clock.now += 0.5


# Through a socket: the same call goes on with the next key.

OK = Recording(
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
BUSY = Recording(b'{"error":{"message":"slow down"}}', 429, headers={"retry-after": "30"})
NO_KEY = Recording(b'{"error":{"message":"Incorrect API key provided: sk-one-0123456789"}}', 401)
NO_MONEY = Recording(b'{"error":{"message":"no money","code":"insufficient_quota"}}', 429)
BROKEN = Recording(b'{"error":{"message":"oops"}}', 500)


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for number, secret in enumerate(SECRETS, 1):
        monkeypatch.setenv(f"TEST_KEY_{number}", secret)


def connection(replay: Replay, client: AiohttpClient, **row: Any) -> Connection:
    vendor = Vendor(kind="test", title="Test", **row)
    config = ProviderConfig(
        kind="test",
        base_url=replay.base_url,
        api_key=SecretRef("env:TEST_KEY_1"),
        api_keys=[SecretRef("env:TEST_KEY_2"), SecretRef("env:TEST_KEY_3")],
    )
    return connect_to("main", config, vendor, client)


def ask(replay: Replay, *answers: Recording, times: int = 1, **row: Any) -> list[Any]:
    """Ask ``times`` in a row; return each text or error."""
    replay.reset()
    replay.will("/chat/completions", *answers)
    fields = {"messages": [Raw(b'{"role":"user","content":"Hi"}')]}
    call = ProviderCall(model="m", fields=fields, is_streaming=False, timeouts=PATIENT)

    async def run() -> list[Any]:
        client = AiohttpClient()
        provider = OpenAIProvider(connection(replay, client, **row))
        outcomes: list[Any] = []
        for _ in range(times):
            try:
                async with aclosing(provider.stream(call)) as deltas:
                    whole: list[Delta] = [delta async for delta in deltas]
                outcomes.append(fold(whole).choices[0].text)
            except ProviderError as error:
                outcomes.append(error)
        await client.close()
        return outcomes

    return asyncio.run(run())


def sent(replay: Replay, header: str = "authorization") -> list[str]:
    return [asked.headers[header] for asked in replay.asked]


def test_each_call_takes_the_next_key(replay: Replay) -> None:
    assert ask(replay, OK, times=4) == ["Hi"] * 4
    assert sent(replay) == [f"Bearer {SECRETS[at]}" for at in (0, 1, 2, 0)]


@pytest.mark.parametrize("first", [BUSY, NO_KEY, NO_MONEY], ids=["busy", "refused", "no money"])
def test_a_refused_key_gives_way_within_the_same_call(replay: Replay, first: Recording) -> None:
    assert ask(replay, first, OK, times=3) == ["Hi"] * 3
    assert sent(replay) == [f"Bearer {SECRETS[at]}" for at in (0, 1, 2, 1)]


def test_a_server_error_is_not_tried_with_another_key(replay: Replay) -> None:
    (error,) = ask(replay, BROKEN)
    assert isinstance(error, ProviderFailed)
    assert len(replay.asked) == 1


def test_only_when_no_key_lives_the_call_fails(replay: Replay) -> None:
    first, second = ask(replay, BUSY, times=2)
    assert isinstance(first, ProviderBusy)
    assert isinstance(second, ProviderBusy)
    assert second.retry_after_s == pytest.approx(30, abs=2)
    assert len(replay.asked) == 3, "the second call asked nobody"


def test_no_key_is_in_a_message_or_a_log(replay: Replay, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        (error,) = ask(replay, NO_KEY)
    assert isinstance(error, ProviderRefusedKey)
    said = error.message + "".join(str(vars(record)) for record in caplog.records)
    assert not any(secret in said for secret in SECRETS)
    (first, *_) = [r for r in caplog.records if r.getMessage() == "provider_key_refused"]
    assert vars(first)["key"] == 1
    assert vars(first)["provider"] == "main"


@pytest.mark.parametrize("header", ["api-key", "x-api-key", "x-goog-api-key"])
def test_a_key_goes_bare_into_a_header_of_its_own(replay: Replay, header: str) -> None:
    assert ask(replay, BUSY, OK, key_header=header) == ["Hi"]
    assert sent(replay, header) == [SECRETS[0], SECRETS[1]]
    assert all("authorization" not in asked.headers for asked in replay.asked)


def connect(**settings: Any) -> Connection:
    clock = settings.pop("clock", Clock())
    config = ProviderConfig(base_url="http://127.0.0.1:9/v1", **settings)
    return connect_to("main", config, Vendor(kind="t", title="T"), AiohttpClient(), clock)


def test_a_connection_prints_no_key() -> None:
    connected = connect(api_key=SecretRef("env:TEST_KEY_1"))
    assert SECRETS[0] not in repr(connected) + repr(connected.keys.take()) + repr(connected.keys)


def test_the_same_key_twice_is_one_key() -> None:
    twice = [SecretRef("env:TEST_KEY_1"), SecretRef("env:TEST_KEY_2")]
    assert len(connect(api_key=SecretRef("env:TEST_KEY_1"), api_keys=twice).keys) == 2


def test_a_token_is_read_again_after_a_minute(tmp_path: Path) -> None:
    file, clock = tmp_path / "token", Clock()
    file.write_text("first\n")
    connected = connect(bearer_token=SecretRef(f"file:{file}"), clock=clock)
    key = connected.keys.take()
    assert key.headers["authorization"] == "Bearer first"
    file.write_text("second\n")
    clock.now += TOKEN_S - 1
    assert key.headers["authorization"] == "Bearer first"
    clock.now += 1
    assert key.headers["authorization"] == "Bearer second"
    assert key.secret == "second", "it is cut out of messages, too"
    file.unlink()
    clock.now += TOKEN_S
    assert key.headers["authorization"] == "Bearer second", "better an old token than none"


def test_a_token_and_a_key_contradict_each_other(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("token")
    with pytest.raises(ConfigError, match="bearer_token"):
        connect(api_key=SecretRef("env:TEST_KEY_1"), bearer_token=SecretRef(f"file:{file}"))
