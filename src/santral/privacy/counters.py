"""Counters of limits in Redis: the accounts of one user, whose names hold their id."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import Any

from santral.config.limits import LimitsConfig
from santral.errors import ConfigError, StoreError

#: How long one command may take, in seconds. Chosen: nobody's request waits for it.
_TIMEOUT_S = 2.0
#: Keys that Redis looks at in one step. Chosen: a fraction of a millisecond of its time.
_SCANNED = 500


class Counters:
    """What ``santral.quota.redis`` counts of users: ``<namespace>:limits:{…}:a:<rule>/<scope>[:<slot>]``."""

    def __init__(self, url: str, namespace: str) -> None:
        """Prepare a client; nothing is connected before the first question.

        Raises:
            ConfigError: redis-py is not installed, or ``url`` is not an address of Redis.
        """
        self._prefix = f"{namespace}:limits:"
        self._redis, self._failures = _client(url)

    async def count(self, rules: Collection[str], scopes: Collection[str]) -> int:
        """Return how many accounts the rules with these ids have of these users.

        Raises:
            StoreError: Redis does not answer.
        """
        return len([key async for key in self._keys(rules, scopes)])

    async def delete(self, rules: Collection[str], scopes: Collection[str]) -> None:
        """Delete them; raises as ``count``."""
        keys = [key async for key in self._keys(rules, scopes)]
        if keys:
            await self._ask("UNLINK", *keys)

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    async def _keys(self, rules: Collection[str], scopes: Collection[str]) -> AsyncIterator[bytes]:
        accounts = {f"{rule}/{scope}" for rule in rules for scope in scopes}
        cursor: Any = 0
        while accounts:
            cursor, keys = await self._ask(
                "SCAN", cursor, "MATCH", f"{self._prefix}*:a:*", "COUNT", _SCANNED
            )
            for key in keys:
                if not accounts.isdisjoint(_accounts(key)):
                    yield key
            if int(cursor) == 0:
                return

    async def _ask(self, *command: Any) -> Any:
        try:
            return await self._redis.execute_command(*command)
        except self._failures as error:
            raise StoreError(
                f"The counters of limits in Redis cannot be reached ({type(error).__name__}). Check "
                "limits.url."
            ) from None


def counters_of(config: LimitsConfig) -> Counters | None:
    """Return the counters in the Redis of ``config``, if it names one; raises ConfigError."""
    return None if config.url is None else Counters(config.url.reveal(), config.namespace)


def _accounts(key: bytes) -> set[str]:
    """Return what a key may be the account of: with what follows the last colon, and without."""
    account = key.decode(errors="replace").partition(":a:")[2]
    name, _, slot = account.rpartition(":")
    return {account, name} if slot.isdecimal() else {account}


def _client(url: str) -> tuple[Any, tuple[type[Exception], ...]]:
    try:
        # Only where it is configured: the extra is not always installed.
        import redis.asyncio as redis  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "limits.url needs the Redis client. Install it: pip install 'santral[redis]'."
        ) from None
    try:
        client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
        )
    except ValueError as error:
        raise ConfigError(f"limits.url is not an address of Redis: {error}") from None
    return client, (redis.RedisError, OSError)
