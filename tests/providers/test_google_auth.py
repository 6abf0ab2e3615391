"""A service account gets its token once, renews it in time, and keeps it out of messages."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.providers.asking import ask, call_of, perform, said, with_provider
from tests.replay import Recording, Replay, recording

from santral.errors import ConfigError, ProviderFailed, ProviderGarbled, ProviderRefusedKey
from santral.providers.aiohttp_client import AiohttpClient
from santral.providers.gemini.auth import CLAIM_S, RENEW_S, GoogleToken, read_service_account

NOW = 1_790_000_000.0
MODEL = "gemini-3.7-flash"
MODELS = "/v1/projects/my-project/locations/europe-west4/publishers/google/models"
TOKEN = Recording(b'{"access_token":"ya29.canary-one","expires_in":3599,"token_type":"Bearer"}')
OTHER = Recording(b'{"access_token":"ya29.canary-two","expires_in":3599,"token_type":"Bearer"}')
REFUSED = Recording(
    b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}', status=400
)

_key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
PEM = _key.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[Replay]:
    with Replay() as running:
        yield running


@pytest.fixture
def replay(server: Replay) -> Replay:
    server.reset()
    return server


def account_of(replay: Replay, **changes: Any) -> dict[str, Any]:
    return {
        "type": "service_account",
        "project_id": "my-project",
        "private_key_id": "key-1",
        "private_key": PEM,
        "client_email": "gateway@my-project.iam.gserviceaccount.com",
        "token_uri": f"{replay.base_url}/token",
    } | changes


def with_token(replay: Replay, steps: Any, clock: Clock | None = None) -> Any:
    """Run ``steps(token)`` with the token of the account."""

    async def main() -> Any:
        client = AiohttpClient()
        account = read_service_account("here", json.dumps(account_of(replay)))
        try:
            return await steps(GoogleToken(account, client, clock or Clock(), "here"))
        finally:
            await client.close()

    return asyncio.run(main())


def test_the_claim_is_signed_and_says_who_asks_whom_for_what(replay: Replay) -> None:
    replay.will("/token", TOKEN)
    assert with_token(replay, lambda token: token.get()) == "ya29.canary-one"
    (asked,) = replay.asked
    form = parse_qs(asked.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    head, claims, signature = form["assertion"][0].split(".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT", "kid": "key-1"}
    assert decoded(claims) == {
        "iss": "gateway@my-project.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": f"{replay.base_url}/token",
        "iat": int(NOW),
        "exp": int(NOW) + CLAIM_S,
    }
    message = f"{head}.{claims}".encode()
    _key.public_key().verify(unbased(signature), message, padding.PKCS1v15(), hashes.SHA256())


def decoded(part: str) -> Any:
    return json.loads(unbased(part))


def unbased(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_many_requests_at_once_fetch_one_token(replay: Replay) -> None:
    replay.will("/token", TOKEN)

    async def steps(token: GoogleToken) -> list[str]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(token.get()) for _ in range(20)]
        return [task.result() for task in tasks]

    assert set(with_token(replay, steps)) == {"ya29.canary-one"}
    assert len(replay.asked) == 1


def test_a_token_is_renewed_before_its_end_and_not_sooner(replay: Replay) -> None:
    replay.will("/token", TOKEN, OTHER)
    clock = Clock()

    async def steps(token: GoogleToken) -> list[str]:
        first = await token.get()
        await token.renew()  # far too early
        clock.now += 3599 - RENEW_S
        early = await token.get()
        await token.renew()
        return [first, early, await token.get()]

    made = with_token(replay, steps, clock)
    assert made == ["ya29.canary-one", "ya29.canary-one", "ya29.canary-two"]
    assert len(replay.asked) == 2


def test_a_token_at_its_end_is_not_used(replay: Replay) -> None:
    replay.will("/token", TOKEN, OTHER)
    clock = Clock()

    async def steps(token: GoogleToken) -> str:
        await token.get()
        clock.now += 3599 - 30
        return await token.get()

    assert with_token(replay, steps, clock) == "ya29.canary-two"


def test_a_renewal_that_fails_is_logged_and_the_old_token_serves(
    replay: Replay, caplog: pytest.LogCaptureFixture
) -> None:
    replay.will("/token", TOKEN, REFUSED)
    clock = Clock()

    async def steps(token: GoogleToken) -> str:
        await token.get()
        clock.now += 3599 - RENEW_S
        await token.renew()
        return await token.get()

    with caplog.at_level(logging.WARNING):
        assert with_token(replay, steps, clock) == "ya29.canary-one"
    assert [record.message for record in caplog.records] == ["google_token_not_renewed"]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (REFUSED, ProviderRefusedKey, "Invalid JWT Signature"),
        (Recording(b"", status=503), ProviderFailed, "status 503"),
        (Recording(b"<html>"), ProviderGarbled, "something else than a token"),
        (Recording(b'{"expires_in":3599}'), ProviderGarbled, "something else than a token"),
    ],
)
def test_no_token_is_an_error_that_says_why(
    replay: Replay, answer: Recording, kind: type[Exception], words: str
) -> None:
    replay.will("/token", answer)
    with pytest.raises(kind, match=words):
        with_token(replay, lambda token: token.get())


def vertex(folder: Path, replay: Replay, **changes: Any) -> dict[str, Any]:
    file = folder / "account.json"
    file.write_text(json.dumps(account_of(replay)), encoding="utf-8")
    return {
        "kind": "vertex",
        "project": "my-project",
        "region": "europe-west4",
        "credentials": f"file:{file}",
    } | changes


@pytest.mark.parametrize("is_streaming", [False, True], ids=["whole", "stream"])
def test_vertex_is_asked_with_a_token_at_its_projects_address(
    replay: Replay, tmp_path: Path, is_streaming: bool
) -> None:
    replay.will("/token", TOKEN)
    replay.will(f"{MODELS}/{MODEL}:generateContent", recording("gemini/text.json"))
    replay.will(f"{MODELS}/{MODEL}:streamGenerateContent", recording("gemini/text.sse"))
    deltas = ask(replay, call_of(MODEL, is_streaming=is_streaming), **vertex(tmp_path, replay))
    assert said(deltas).text.endswith("Türkiye.")
    assert replay.asked[1].headers["authorization"] == "Bearer ya29.canary-one"


def test_vertex_counts_tokens_in_its_own_shape(replay: Replay, tmp_path: Path) -> None:
    replay.will("/token", TOKEN)
    replay.will(f"{MODELS}/{MODEL}:countTokens", recording("gemini/count.json"))
    answer = perform(replay, MODEL, "count_tokens", **vertex(tmp_path, replay))
    assert answer.body == b'{"input_tokens":10}'
    assert replay.asked[-1].json == {"contents": [{"role": "user", "parts": [{"text": "Merhaba"}]}]}


def test_vertex_takes_an_endpoint_in_full(replay: Replay, tmp_path: Path) -> None:
    endpoint = "projects/123/locations/europe-west4/endpoints/456"
    replay.will("/token", TOKEN)
    replay.will(f"/v1/{endpoint}:generateContent", recording("gemini/text.json"))
    assert ask(replay, call_of(endpoint), **vertex(tmp_path, replay))


def test_a_refused_token_is_fetched_anew_and_not_quoted(replay: Replay, tmp_path: Path) -> None:
    body = b'{"error":{"code":401,"message":"Bad ya29.canary-one","status":"UNAUTHENTICATED"}}'
    replay.will("/token", TOKEN)
    replay.will(f"{MODELS}/{MODEL}:generateContent", Recording(body, status=401))
    with pytest.raises(ProviderRefusedKey) as caught:
        ask(replay, call_of(MODEL), **vertex(tmp_path, replay))
    assert "ya29" not in caught.value.message


@pytest.mark.parametrize(
    ("region", "address"),
    [
        ("global", "https://aiplatform.googleapis.com"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
    ],
)
def test_every_region_has_its_address(
    replay: Replay, tmp_path: Path, region: str, address: str
) -> None:
    async def main(provider: Any) -> str:
        return repr(provider)

    settings = vertex(tmp_path, replay, region=region, base_url=None)
    made = with_provider(replay, main, **settings)
    place = f"/v1/projects/my-project/locations/{region}/publishers/google/models"
    assert made == f"VertexProvider('{address}{place}')"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"credentials": None}, "needs a service account"),
        ({"project": None}, "needs the project"),
        ({"region": None}, "needs the region"),
        ({"region": "eu/../x"}, "needs the region"),
    ],
)
def test_vertex_without_what_it_needs_is_refused(
    replay: Replay, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        ask(replay, call_of(MODEL), **vertex(tmp_path, replay, **changes))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("secret-canary", "not the JSON key"),
        ('{"type":"authorized_user"}', "not the JSON key"),
        (json.dumps({"type": "x", "client_email": "a", "private_key": PEM, "token_uri": "https://a"}),
         "not the JSON key"),
        (json.dumps({"type": "service_account", "client_email": "a", "private_key": PEM,
                     "token_uri": "ftp://a"}), "token_uri"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_key_is_refused_unread(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read_service_account("providers.v.credentials", text)
    assert "canary" not in caught.value.message
    assert "PRIVATE" not in caught.value.message


def test_a_broken_private_key_and_a_missing_package_are_refused(
    replay: Replay, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = read_service_account("x", json.dumps(account_of(replay, private_key="nonsense")))
    with pytest.raises(ConfigError, match="not an RSA key"):
        GoogleToken(account, AiohttpClient(), Clock(), "x")
    assert "nonsense" not in repr(account)

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigError, match=r"santral\[vertex\]"):
        GoogleToken(account, AiohttpClient(), Clock(), "x")
