"""Key management over HTTP, against a server that speaks it."""

from __future__ import annotations

import secrets
from collections.abc import Generator

import pytest
from tests.secrets.transit_server import TOKEN, TransitServer, running_transit

from santral.config.safekeeping import TransitConfig
from santral.config.secret import SecretRef
from santral.errors import SealBroken, StoreError
from santral.secrets.box import place_of
from santral.secrets.transit import Transit

KEY, PLACE = secrets.token_bytes(32), place_of("data_keys", "acme", "dk_1")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Generator[TransitServer]:
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with running_transit() as running:
        yield running


def transit(server: TransitServer, **settings: object) -> Transit:
    values: dict[str, object] = {
        "url": server.url,
        "key": "santral",
        "token": SecretRef("env:VAULT_TOKEN"),
        "timeout_s": 2.0,
    }
    return Transit(TransitConfig.model_validate(values | settings))


def test_a_wrapped_key_unwraps_at_its_place_alone(server: TransitServer) -> None:
    ours = transit(server)
    wrapped = ours.wrap(KEY, PLACE)
    assert wrapped.startswith(b"vault:v1:")
    assert ours.unwrap(wrapped, PLACE) == KEY
    with pytest.raises(SealBroken, match="authentication failed"):
        ours.unwrap(wrapped, place_of("data_keys", "other", "dk_1"))
    with pytest.raises(SealBroken):
        ours.unwrap(wrapped[:-8], PLACE)
    with pytest.raises(SealBroken):
        ours.unwrap(b"\xff\xfe", PLACE)


def test_an_older_version_of_its_key_still_unwraps(server: TransitServer) -> None:
    ours = transit(server)
    old = ours.wrap(KEY, PLACE)
    server.rotate()
    assert ours.unwrap(old, PLACE) == KEY
    assert ours.wrap(KEY, PLACE).startswith(b"vault:v2:")


def test_a_refused_token_is_named_and_not_shown(
    server: TransitServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "hvs.wrong")
    with pytest.raises(StoreError, match=r"secrets\.transit\.token.*permission denied") as caught:
        transit(server).wrap(KEY, PLACE)
    assert "hvs.wrong" not in caught.value.message


def test_nobody_there_is_said_with_a_remedy(server: TransitServer) -> None:
    ours = transit(server, url="http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"does not answer.*secrets\.transit\.url"):
        ours.wrap(KEY, PLACE)


def test_a_slow_answer_ends_at_the_timeout(server: TransitServer) -> None:
    server.delay_s = 1.0
    with pytest.raises(StoreError, match="does not answer"):
        transit(server, timeout_s=0.1).wrap(KEY, PLACE)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (200, b"{}"),
        (200, b'{"data":{}}'),
        (200, b'{"data":{"ciphertext":7}}'),
        (500, b"oops"),
        (503, b'{"errors":["Vault is sealed"]}'),
        (302, b""),
        (404, b'{"errors":[]}'),
    ],
)
def test_an_odd_answer_is_no_key(server: TransitServer, answer: tuple[int, bytes]) -> None:
    server.answer = answer
    with pytest.raises(StoreError):
        transit(server).wrap(KEY, PLACE)
    assert [path for path, _ in server.asked] == ["/v1/transit/encrypt/santral"]


def test_a_plaintext_that_is_no_base_64_is_refused(server: TransitServer) -> None:
    server.answer = (200, b'{"data":{"plaintext":"***"}}')
    with pytest.raises(StoreError):
        transit(server).unwrap(b"vault:v1:AAAA", PLACE)


def test_the_key_never_leaves_in_an_address_or_a_repr(server: TransitServer) -> None:
    ours = transit(server)
    ours.wrap(KEY, PLACE)
    assert TOKEN not in repr(ours) + str(server.asked)
    assert ours.id == "transit:transit/santral"
