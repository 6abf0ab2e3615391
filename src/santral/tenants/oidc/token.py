"""Checks a token of the OpenID provider: who signed it, for whom, when, and in answer to what.

Sources: OpenID Connect Core 1.0, section 3.1.3.7; RFC 7519; RFC 8725 (best practices): the algorithms
are ours to choose, never the token's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, ClaimError, ExpiredTokenError, JoseError
from joserfc.jwk import Key
from msgspec import Struct

from santral.errors import Unauthenticated

#: Signatures with a public key. HS256 and its kin are not here: with them, whoever can check a token
#: can make one, and a public key taken for a secret is known to everybody.
ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
)
#: Longest token that is looked at. Chosen: groups make tokens long, headers of 16 kB are refused anyway.
_MOST_CHARACTERS = 32_768

Claims = Mapping[str, Any]


class Expected(Struct, frozen=True, kw_only=True):
    """What a token must say; ``now`` in seconds since 1970."""

    issuer: str
    audiences: tuple[str, ...]
    now: float
    leeway_s: float
    nonce: str | None = None  # of an ID token: the sign-in that it answers
    client_id: str = ""  # of an ID token: for whom it was made


def looks_like_token(text: str) -> bool:
    """Whether ``text`` has the three parts of a signed token."""
    return text.count(".") == 2 and len(text) <= _MOST_CHARACTERS and text.startswith("eyJ")


async def verify(
    token: str, keys: Callable[[str | None], Awaitable[Sequence[Key]]], expected: Expected
) -> Claims:
    """Return what ``token`` says, once everything about it is checked.

    Raises:
        Unauthenticated: it is none, forged, expired, or for somebody else; the message says which.
    """
    algorithm, key_id = _head(token)
    if algorithm not in ALGORITHMS:
        raise _refusal(
            f"The token is signed with '{algorithm[:20]}', which is not accepted. Let the provider "
            f"sign with one of {', '.join(ALGORITHMS)}."
        )
    claims = _open(token, algorithm, await keys(key_id))
    _check(claims, expected)
    return claims


def _registry(algorithms: Collection[str]) -> jws.JWSRegistry:
    """Return the library's rules: our algorithms alone; header fields it does not know are no fault."""
    made = jws.JWSRegistry(algorithms=list(algorithms), strict_check_header=False)
    made.max_header_length = 4096  # certificates in the head, as some providers put them there
    return made


def _head(token: str) -> tuple[str, str | None]:
    if len(token) > _MOST_CHARACTERS:
        raise _refusal("The token is too long. Let the provider put fewer groups into it.")
    try:
        head = jws.extract_compact(token.encode(), registry=_registry(ALGORITHMS)).headers()
    except (JoseError, ValueError, TypeError):
        raise _refusal(
            "This is no signed token. Send the ID or access token as it was given."
        ) from None
    algorithm, key_id = head.get("alg"), head.get("kid")
    return str(algorithm), key_id if isinstance(key_id, str) else None


def _open(token: str, algorithm: str, keys: Sequence[Key]) -> Claims:
    """Return the claims, once one of ``keys`` fits the signature."""
    for key in keys:
        try:
            return jwt.decode(token, key, registry=_registry([algorithm])).claims
        except BadSignatureError:
            continue
        except (JoseError, ValueError, TypeError):
            continue  # a key of another kind, or for another algorithm
    if not keys:
        raise _refusal(
            "The token is signed with a key that the provider does not publish. If the provider just "
            "changed its keys, try again in a few seconds; else the token is of another provider."
        )
    raise _refusal("The token's signature is wrong: it was changed, or somebody else made it.")


def _check(claims: Claims, expected: Expected) -> None:
    if not expected.audiences:  # an empty list would allow every audience
        raise _refusal("No audience is allowed here. Name one in sso.api_audiences.")
    options: dict[str, Any] = {
        "iss": {"essential": True, "value": expected.issuer},
        "sub": {"essential": True},
        "aud": {"essential": True, "values": list(expected.audiences)},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    if expected.nonce is not None:
        options["nonce"] = {"essential": True, "value": expected.nonce}
    registry = jwt.JWTClaimsRegistry(
        now=int(expected.now), leeway=int(expected.leeway_s), **options
    )
    try:
        registry.validate(dict(claims))
    except ClaimError as error:
        raise _refusal(_reason(error, claims, expected)) from None
    audiences, party = claims["aud"], claims.get("azp")
    if not expected.client_id:
        return
    if party not in (None, expected.client_id) or (party is None and _is_shared(audiences)):
        raise _refusal(
            f"The token was made for the client '{str(party)[:100]}', not for "
            f"'{expected.client_id}'. Check sso.client_id."
        )


def _is_shared(audiences: object) -> bool:
    return isinstance(audiences, list) and len(audiences) > 1  # pyright: ignore[reportUnknownArgumentType]


def _reason(error: ClaimError, claims: Claims, expected: Expected) -> str:
    """Say what is wrong with a claim, and what to change."""
    said = str(claims.get(error.claim))[:200]
    clock = _moment(expected.now)
    match error.claim:
        case "exp" if isinstance(error, ExpiredTokenError):
            return (
                f"The token expired at {_moment(claims['exp'])}; the clock here says {clock}. Sign in "
                "again. If it happens at once, set the clocks of both machines, or raise sso.leeway_s."
            )
        case "iat" | "nbf" if error.claim in claims:
            return (
                f"The token is of the future ({error.claim} {_moment(claims[error.claim])}); the clock "
                f"here says {clock}. Set the clocks of both machines, or raise sso.leeway_s."
            )
        case "aud" if "aud" in claims:
            return (
                f"The token is for the audience '{said}', not for "
                f"'{', '.join(expected.audiences)}'. Check sso.client_id, and sso.api_audiences for "
                "the admin API."
            )
        case "iss" if "iss" in claims:
            return f"The token is of the issuer '{said}', not of '{expected.issuer}'. Check sso.issuer."
        case "nonce":
            return "The token answers another sign-in than this browser's. Begin again."
        case _:
            return f"The token lacks '{error.claim}', or has it in another form than it should be."


def _moment(seconds: object) -> str:
    try:
        return datetime.fromtimestamp(float(str(seconds)), UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return str(seconds)[:40]


def _refusal(message: str) -> Unauthenticated:
    return Unauthenticated(message, code="sign_in_refused")
