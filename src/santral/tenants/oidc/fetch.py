"""One call to the OpenID provider: bounded in time and size, no redirects, an object or an error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import aiohttp
import msgspec
from msgspec import Struct

from santral.errors import SignInUnavailable

#: Longest answer that is read. Chosen: the largest key sets of known providers are some 20 kB.
_MOST_BYTES = 512 * 1024


class Reply(Struct, frozen=True):
    """What the provider said."""

    status: int
    body: Mapping[str, Any]


async def fetch(
    url: str,
    timeout_s: float,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Get ``url``, or post ``form`` to it; return status and JSON object of the answer.

    Raises:
        SignInUnavailable: no answer in time, a redirect, or no JSON object.
    """
    try:
        status, data = await _ask(url, timeout_s, form, headers or {})
    except TimeoutError:
        raise SignInUnavailable(
            f"The OpenID provider did not answer {url} within {timeout_s:g} s. Try again; if it is "
            "always slow, raise sso.timeout_s. An admin key signs in meanwhile."
        ) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SignInUnavailable(
            f"The OpenID provider cannot be reached at {url}: {error}. Check sso.issuer, the network "
            "and the name server. An admin key signs in meanwhile."
        ) from None
    if 300 <= status < 400:
        raise SignInUnavailable(
            f"The OpenID provider sends {url} elsewhere ({status}), which is not followed. Set "
            "sso.issuer to the address as the provider's own documents say it."
        )
    return Reply(status, _object(url, status, data))


async def _ask(
    url: str, timeout_s: float, form: Mapping[str, str] | None, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    # A session for each call: people sign in seldom, and nothing has to be closed at the end.
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    accepting = {"accept": "application/json", **headers}
    async with aiohttp.ClientSession(
        timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        method = "GET" if form is None else "POST"
        async with session.request(
            method, url, data=form, headers=accepting, allow_redirects=False
        ) as answer:
            data = await answer.content.read(_MOST_BYTES + 1)
            while len(data) <= _MOST_BYTES and (more := await answer.content.read(65_536)):
                data += more
            return answer.status, data


def _object(url: str, status: int, data: bytes) -> Mapping[str, Any]:
    try:
        if len(data) > _MOST_BYTES:
            raise ValueError("too long")
        found = msgspec.json.decode(data)
    except (ValueError, msgspec.DecodeError):
        found = None
    if not isinstance(found, dict):
        raise SignInUnavailable(
            f"The OpenID provider answered {url} with status {status} and no JSON object. Check that "
            "sso.issuer is the provider's address. An admin key signs in meanwhile."
        )
    return cast("Mapping[str, Any]", found)
