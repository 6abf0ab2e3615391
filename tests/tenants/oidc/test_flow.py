"""The way through a real OpenID provider, and every answer that must not let anybody in."""

from __future__ import annotations

import base64
import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from santral.errors import ConfigError, NotAllowed, SignInUnavailable, Unauthenticated
from santral.tenants.oidc.flow import SignIn
from santral.tenants.oidc.kept import COOLDOWN_S, FRESH_S, STALE_S

pytestmark = pytest.mark.anyio


async def test_a_person_signs_in(door: Any) -> None:
    arrival = await door.enter()
    assert arrival.wanted == "/keys"
    identity = arrival.identity
    assert (identity.subject, identity.email, identity.name) == ("u-1", "ada@example.com", "Ada")
    assert identity.groups == {"engineers"}
    assert identity.issuer == door.provider.issuer


async def test_the_request_carries_state_nonce_and_the_hash_of_a_secret(door: Any) -> None:
    url, cookie = await door.depart()
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["code_challenge_method"] == "S256"
    assert asked["scope"].split()[0] == "openid"
    assert len({asked["state"], asked["nonce"], asked["code_challenge"]}) == 3
    again = dict(parse_qsl(urlsplit((await door.depart())[0]).query))
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) == 43
        assert asked[name] != again[name]
    verifier = json.loads(base64.urlsafe_b64decode(cookie.partition(".")[0] + "=="))["verifier"]
    assert verifier not in url


async def test_a_stolen_code_is_worth_nothing_without_its_secret(door: Any) -> None:
    _, other_cookie = await door.depart()
    url, _ = await door.depart()
    answer = await door.through(url)
    stolen = json.loads(base64.urlsafe_b64decode(other_cookie.partition(".")[0] + "=="))
    with pytest.raises(Unauthenticated, match=r"not begun in this browser"):
        await door.sign_in.finish(answer, other_cookie)
    with pytest.raises(Unauthenticated, match=r"refuses the code"):
        await door.sign_in.finish({**answer, "state": stolen["state"]}, other_cookie)


async def test_a_finished_sign_in_is_finished_once(door: Any) -> None:
    url, cookie = await door.depart()
    answer = await door.through(url)
    await door.sign_in.finish(answer, cookie)
    with pytest.raises(Unauthenticated, match=r"finished already"):
        await door.sign_in.finish(answer, cookie)


async def test_a_replayed_code_is_refused_by_the_provider_too(door: Any) -> None:
    url, cookie = await door.depart()
    used = (await door.through(url))["code"]
    first = await door.depart()
    await door.sign_in.finish({"state": _state(url), "code": used}, cookie)
    with pytest.raises(Unauthenticated, match=r"used or too old") as refused:
        await door.sign_in.finish({"state": _state(first[0]), "code": used}, first[1])
    assert "register exactly http://127.0.0.1:8081/sign-in/return" in refused.value.message


def _state(url: str) -> str:
    return dict(parse_qsl(urlsplit(url).query))["state"]


@pytest.mark.parametrize("change", ["state", "missing", "cookie", "no cookie", "garbage"])
async def test_a_wrong_state_or_cookie_begins_nothing(door: Any, change: str) -> None:
    url, cookie = await door.depart()
    answer = await door.through(url)
    if change == "state":
        answer["state"] = "x" * 43
    elif change == "missing":
        del answer["state"]
    body, _, signature = cookie.partition(".")
    forged = {
        "cookie": f"{body[:-2]}AA.{signature}",
        "no cookie": "",
        "garbage": "ğ.é" * 50,
    }.get(change, cookie)
    with pytest.raises(Unauthenticated, match=r"not begun in this browser") as refused:
        await door.sign_in.finish(answer, forged)
    assert refused.value.detail_code == "sign_in_refused"
    assert "/token" not in door.provider.asked


async def test_who_takes_too_long_begins_again(door: Any) -> None:
    url, cookie = await door.depart()
    answer = await door.through(url)
    door.now += SignIn.patience_s
    with pytest.raises(Unauthenticated, match=r"longer than 10 minutes"):
        await door.sign_in.finish(answer, cookie)


async def test_who_declines_is_told_so(door: Any) -> None:
    url, cookie = await door.depart()
    with pytest.raises(Unauthenticated, match=r"access_denied .* assign it"):
        await door.sign_in.finish(await door.through(url, "stranger"), cookie)


async def test_an_answer_of_another_provider_is_refused(door: Any) -> None:
    url, cookie = await door.depart()
    answer = {**await door.through(url), "iss": "https://evil.test"}
    with pytest.raises(Unauthenticated, match=r"Another provider"):
        await door.sign_in.finish(answer, cookie)


def unsigned(claims: dict[str, Any]) -> str:
    def part(thing: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(thing).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}."


def with_public_key_as_secret(key: RSAKey, claims: dict[str, Any]) -> str:
    """Sign with HS256 under the public key in PEM: what a careless checker takes for the secret."""
    import hashlib
    import hmac

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = part(json.dumps({"alg": "HS256", "kid": key.kid}).encode())
    body = part(json.dumps(claims).encode())
    mac = hmac.new(key.as_pem(private=False), f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{part(mac)}"


def with_client_secret(claims: dict[str, Any]) -> str:
    secret = OctKey.import_key("s3cret of the client, made longer for the library")
    return jwt.encode({"alg": "HS256"}, claims, secret)


FORGERIES: dict[str, tuple[Any, str]] = {
    "wrong nonce": (lambda p, c: p.sign({**c, "nonce": "n" * 43}), "answers another sign-in"),
    "no nonce": (lambda p, c: p.sign({k: v for k, v in c.items() if k != "nonce"}), "another sign-in"),
    "another audience": (lambda p, c: p.sign({**c, "aud": "billing"}), "audience 'billing', not for 'santral"),
    "no audience": (lambda p, c: p.sign({**c, "aud": []}), "audience"),
    "another party": (lambda p, c: p.sign({**c, "azp": "billing"}), "made for the client 'billing'"),
    "shared, without a party": (
        lambda p, c: p.sign({**c, "aud": [c["aud"], "billing"]}),
        "made for the client",
    ),
    "another issuer": (lambda p, c: p.sign({**c, "iss": "https://evil.test"}), "of the issuer 'https://evil.test'"),
    "algorithm none": (lambda p, c: unsigned(c), "signed with 'none', which is not accepted"),
    "public key as secret": (
        lambda p, c: with_public_key_as_secret(p.key, c),
        "signed with 'HS256', which is not accepted",
    ),
    "client secret": (lambda p, c: with_client_secret(c), "signed with 'HS256'"),
    "expired": (lambda p, c: p.sign({**c, "exp": int(time.time()) - 61}), "expired at 20.* set the clocks"),
    "expires never": (lambda p, c: p.sign({**c, "exp": float("nan")}), "lacks 'exp'|another form"),
    "of the future": (lambda p, c: p.sign({**c, "iat": int(time.time()) + 3600}), "of the future .iat"),
    "not yet": (lambda p, c: p.sign({**c, "nbf": int(time.time()) + 3600}), "of the future .nbf"),
    "no subject": (lambda p, c: p.sign({**c, "sub": None}), "lacks 'sub'"),
    "key of somebody": (
        lambda p, c: p.sign(c, RSAKey.generate_key(2048, {"kid": p.key.kid})),
        "signature is wrong",
    ),
    "unknown key": (lambda p, c: p.sign(c, kid="nobody's"), "a key that the provider does not publish"),
    "own key in the head": (
        lambda p, c: _with_own_key(c),
        "a key that the provider does not publish|signature is wrong",
    ),
    "changed": (lambda p, c: _changed(p.sign(c)), "signature is wrong"),
    "no token": (lambda p, c: "not a token", "no signed token"),
    "two parts": (lambda p, c: p.sign(c).rpartition(".")[0], "no signed token"),
    "huge": (lambda p, c: p.sign({**c, "groups": ["g" * 100] * 1000}), "too long"),
}  # fmt: skip


def _with_own_key(claims: dict[str, Any]) -> str:
    key = RSAKey.generate_key(2048)
    return jwt.encode({"alg": "RS256", "jwk": key.as_dict(private=False)}, claims, key)


def _changed(token: str) -> str:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["groups"] = ["admins"]
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{head}.{other}.{signature}"


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_token_that_is_not_right_in_everything_lets_nobody_in(door: Any, name: str) -> None:
    forge, says = FORGERIES[name]
    door.provider.forge = lambda claims: forge(door.provider, claims)
    with pytest.raises((Unauthenticated, NotAllowed), match=f"(?i){says}") as refused:
        await door.enter()
    assert refused.value.detail_code in ("sign_in_refused", "person_not_allowed")


async def test_clocks_may_differ_a_little(door: Any) -> None:
    now = int(time.time())
    door.provider.forge = lambda claims: door.provider.sign(
        {**claims, "exp": now - 30, "iat": now + 30}
    )
    assert (await door.enter()).identity.subject == "u-1"


async def test_new_keys_of_the_provider_are_found_and_old_ones_are_not_taken(door: Any) -> None:
    await door.enter()
    door.now += COOLDOWN_S
    old = door.provider.rotate()
    assert (await door.enter()).identity.subject == "u-1"
    door.provider.forge = lambda claims: door.provider.sign(claims, old)
    door.now += COOLDOWN_S
    with pytest.raises(Unauthenticated, match=r"does not publish"):
        await door.enter()


async def test_made_up_key_ids_do_not_make_us_ask_each_time(door: Any) -> None:
    await door.enter()
    door.provider.forge = lambda claims: door.provider.sign(claims, kid="made up")
    door.provider.asked.clear()
    for _ in range(5):
        with pytest.raises(Unauthenticated):
            await door.enter()
    assert door.provider.asked.count("/keys") <= 1


async def test_keys_and_endpoints_are_asked_for_once_an_hour(door: Any) -> None:
    for _ in range(3):
        await door.enter()
    counted = [
        door.provider.asked.count(path) for path in ("/.well-known/openid-configuration", "/keys")
    ]
    assert counted == [1, 1]
    door.now += FRESH_S
    door.provider.forge = lambda claims: door.provider.sign({**claims, "exp": int(door.now) + 60})
    await door.enter()
    assert door.provider.asked.count("/keys") == 2


async def test_a_provider_that_is_away_for_a_night_stops_nobody_who_has_a_token(
    make_door: Any,
) -> None:
    door = make_door(api_audiences=["santral-api"])
    token = door.provider.token("u-1", aud="santral-api", exp=int(time.time()) + 10**6)
    await door.sign_in.bearer(token)
    door.now += FRESH_S
    door.provider.break_with("/keys", 500)
    door.provider.break_with("/.well-known/openid-configuration", 500)
    assert (await door.sign_in.bearer(token)).subject == "u-1"
    door.now += STALE_S
    with pytest.raises(SignInUnavailable):
        await door.sign_in.bearer(token)


@pytest.mark.parametrize(
    ("path", "status", "body", "says"),
    [
        ("/.well-known/openid-configuration", 500, "", "no JSON object"),
        ("/.well-known/openid-configuration", 404, "{}", "status 404"),
        ("/.well-known/openid-configuration", 200, "<html>", "no JSON object"),
        ("/.well-known/openid-configuration", 302, "", "elsewhere"),
        (
            "/.well-known/openid-configuration",
            200,
            '{"issuer": "https://evil.test"}',
            "of the issuer",
        ),
        ("/.well-known/openid-configuration", 200, "[" + "1," * 400_000 + "1]", "no JSON object"),
    ],
)
async def test_a_broken_provider_is_named_with_its_remedy(
    door: Any, path: str, status: int, body: str, says: str
) -> None:
    door.provider.break_with(path, status, body)
    with pytest.raises(SignInUnavailable, match=says):
        await door.depart()


async def test_a_document_may_not_send_secrets_over_http(make_door: Any) -> None:
    door = make_door()
    door.provider.break_with(
        "/.well-known/openid-configuration",
        200,
        json.dumps(
            {
                "issuer": door.provider.issuer,
                "authorization_endpoint": "javascript:alert(1)",
                "token_endpoint": "https://a.test/t",
                "jwks_uri": "https://a.test/k",
            }
        ),
    )
    with pytest.raises(SignInUnavailable, match=r"no usable authorization_endpoint"):
        await door.depart()


async def test_a_provider_that_is_down_or_slow_is_waited_for_no_longer_than_said(
    make_door: Any,
) -> None:
    slow = make_door(timeout_s=0.2)
    slow.provider.slow_s["/.well-known/openid-configuration"] = 1.0
    began = time.monotonic()
    with pytest.raises(SignInUnavailable, match=r"within 0.2 s"):
        await slow.depart()
    assert time.monotonic() - began < 0.9
    down = make_door(issuer="http://127.0.0.1:9")
    with pytest.raises(SignInUnavailable, match=r"cannot be reached"):
        await down.depart()
    asked = time.monotonic()
    for _ in range(20):  # while it is known to be down, nobody waits
        with pytest.raises(SignInUnavailable):
            await down.depart()
    assert time.monotonic() - asked < 0.5


async def test_a_wrong_client_secret_is_the_operators_to_mend(
    door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SSO_SECRET", "wrong")
    with pytest.raises(ConfigError, match=r"sso.client_secret") as refused:
        await door.enter()
    assert "wrong" not in refused.value.message


@pytest.mark.parametrize("methods", [["client_secret_post"], None])
async def test_the_secret_goes_where_the_provider_wants_it(door: Any, methods: Any) -> None:
    document = door.provider._found()
    document["token_endpoint_auth_methods_supported"] = methods
    door.provider.break_with(
        "/.well-known/openid-configuration",
        200,
        json.dumps({k: v for k, v in document.items() if v is not None}),
    )
    assert (await door.enter()).identity.subject == "u-1"


async def test_claims_that_stand_in_the_userinfo_alone_are_read_there(make_door: Any) -> None:
    door = make_door(roles=[{"group": "engineers", "role": "developer"}])
    door.provider.is_thin = True
    identity = (await door.enter()).identity
    assert (identity.email, identity.groups) == ("ada@example.com", {"engineers"})
    door.provider.break_with("/userinfo", 200, '{"sub": "u-2", "email": "eve@example.com"}')
    assert (await door.enter()).identity.email == "", "what is said of somebody else is not used"


async def test_the_admin_api_takes_tokens_of_its_audience_alone(make_door: Any) -> None:
    door = make_door(api_audiences=["santral-api"], email_domains=["example.com"])
    good = door.provider.token("u-1", aud=["other", "santral-api"], email=None, groups=None)
    assert (await door.sign_in.bearer(good)).subject == "u-1"
    with pytest.raises(Unauthenticated, match=r"audience"):
        await door.sign_in.bearer(door.provider.token("u-1"))
    with pytest.raises(Unauthenticated, match=r"sso.api_audiences"):
        await make_door().sign_in.bearer(good)
    with pytest.raises(Unauthenticated, match=r"not accepted"):
        await door.sign_in.bearer(unsigned(door.provider.claims("u-1", aud="santral-api")))
