"""Sends an alert to its webhook: signed, once more where it failed, never into the network inside.

At least once: a receiver knows by the id what it has already.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from msgspec.structs import replace

from santral.quota.budgets.alert import Alert, next_try
from santral.web.address import is_public

SIGNATURE, ID = "x-santral-signature", "x-santral-alert-id"
#: Tries before an alert is given up: some two days, with an hour between the last ones. Chosen.
MOST_TRIES = 60
#: Hosts that take a text alone and refuse fields they do not know.
_TEXT_ONLY = ("hooks.slack.com", "hooks.slack-gov.com")


class Sender:
    """Sends alerts with the key, the patience and the bounds of one installation."""

    def __init__(
        self,
        key: str,
        *,
        timeout_s: float,
        allow_private: bool,
        clock: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._key = key.encode()
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._clock = clock
        self._random = random

    async def send(self, alert: Alert) -> Alert:
        """Try once; return the alert as it is then, delivered or with its next try."""
        try:
            await self._post(alert)
        except Refused as error:
            return self._failed(alert, str(error))
        now = self._clock()
        return replace(alert, delivered_at=now, next_try_at=None, tries=alert.tries + 1, error="")

    def put_off(self, alert: Alert, reason: str) -> Alert:
        """Return an alert that waits for a receiver which has just failed: that is no try."""
        wait = next_try(alert.tries, self._random())
        return replace(alert, next_try_at=self._clock() + wait, error=reason)

    def _failed(self, alert: Alert, reason: str) -> Alert:
        tries = alert.tries + 1
        if tries >= MOST_TRIES:
            return replace(alert, next_try_at=None, tries=tries, error=f"given up: {reason}")
        wait = next_try(alert.tries, self._random())
        return replace(alert, next_try_at=self._clock() + wait, tries=tries, error=reason)

    async def _post(self, alert: Alert) -> None:
        url = alert.webhook
        host = urlsplit(url).hostname or ""
        if not self._allow_private:
            require_public([host])
        body = body_for(host, alert.body)
        headers = {
            "content-type": "application/json",
            ID: alert.id,
            SIGNATURE: signature(self._key, body, int(self._clock().timestamp())),
        }
        connector = aiohttp.TCPConnector(
            resolver=ThreadedResolver() if self._allow_private else _PublicResolver(),
            force_close=True,
        )
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
                session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
        except TimeoutError:
            raise Refused(f"no answer within {self._timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Refused(str(error) or type(error).__name__) from None
        if not 200 <= status < 300:
            what = "it answered with a redirect" if 300 <= status < 400 else "it answered"
            raise Refused(f"{what} ({status})")


class Refused(Exception):
    """An alert was not taken; says why."""


def body_for(host: str, body: dict[str, Any]) -> bytes:
    """Return what is posted: ``text`` is what Slack, Mattermost and their kin show."""
    said = {name: value for name, value in body.items() if name != "webhook"}
    return msgspec.json.encode({"text": body["text"]} if host in _TEXT_ONLY else said)


def signature(key: bytes, body: bytes, at_s: int) -> str:
    """Return the header by which a receiver knows that a body is ours and fresh.

    ``t`` is seconds since 1970, ``v1`` the HMAC-SHA256 of ``t``, a point and the body, hexadecimal.
    """
    mac = hmac.new(key, f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


def require_public(hosts: Iterable[str]) -> None:
    """Return when no host is the address of something inside the network; names pass.

    Raises:
        Refused: one is.
    """
    for host in hosts:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        if not is_public(address):
            raise Refused(
                f"{host} is an address inside the network. To send there, set "
                "alerts.allow_private_addresses."
            )


class _PublicResolver(AbstractResolver):
    """Refuses a name as it is connected to, so that it cannot mean another address meanwhile."""

    def __init__(self) -> None:
        self._inner = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        require_public(result["host"] for result in found)
        return found

    async def close(self) -> None:
        await self._inner.close()
