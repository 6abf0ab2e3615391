"""Answers in Redis or Valkey, shared by all workers: every wait is short, every value is checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from santral.cache.answer import CachedAnswer
from santral.cache.stored import decode_answer, encode_answer
from santral.cache.tier import TierDown
from santral.errors import ConfigError

#: Keys that Redis looks at in one step. Chosen: a fraction of a millisecond of its time.
_SCANNED = 500


class RedisTier:
    """One store of answers under a namespace.

    Keys are hashes that hold the tenant, so nothing a caller says appears in them.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        timeout_s: float,
        max_entry_bytes: int,
        max_connections: int = 16,
    ) -> None:
        """Prepare a pool; nothing is connected before the first question.

        Raises:
            ConfigError: redis-py is not installed, or ``url`` is not an address of Redis.
        """
        self._prefix = f"{namespace}:answer:"
        self._timeout_s = timeout_s
        self._max_entry_bytes = max_entry_bytes
        self._redis, self._failures = _client(url, timeout_s, max_connections)

    async def get(self, key: bytes) -> CachedAnswer | None:
        """Return the answer under ``key``; what is not whole is no answer.

        Raises:
            TierDown: no answer within the timeout.
        """
        value: bytes | None = await self._ask("GET", self._name(key))
        return None if value is None else decode_answer(key, value)

    async def put(self, key: bytes, answer: CachedAnswer, ttl_s: float) -> bool:
        """Keep an answer; False where it may not be served again or is larger than an entry may be.

        Raises:
            TierDown: no answer within the timeout.
        """
        if not answer.is_servable:
            return False
        value = encode_answer(key, answer)
        if len(value) > self._max_entry_bytes:
            return False
        await self._ask("SET", self._name(key), value, "PX", max(1, int(ttl_s * 1000)))
        return True

    async def forget(self, key: bytes) -> None:
        """Remove the answer under ``key``; raises as ``get``."""
        await self._ask("DEL", self._name(key))

    async def count(self) -> int:
        """Return how many answers are kept; raises as ``get``."""
        return len([key async for keys in self._keys() for key in keys])

    async def forget_all(self) -> None:
        """Remove every answer of the namespace, some hundred at a time; raises as ``get``."""
        async for keys in self._keys():
            if keys:
                await self._ask("UNLINK", *keys)

    async def _keys(self) -> AsyncIterator[list[bytes]]:
        cursor: Any = 0
        while True:
            cursor, keys = await self._ask(
                "SCAN", cursor, "MATCH", f"{self._prefix}*", "COUNT", _SCANNED
            )
            yield keys
            if int(cursor) == 0:
                return

    async def close(self) -> None:
        """Close every connection."""
        await self._redis.aclose()

    def _name(self, key: bytes) -> str:
        return self._prefix + key.hex()

    async def _ask(self, *command: Any) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._redis.execute_command(*command)
        except TimeoutError:
            raise TierDown(f"no answer within {self._timeout_s * 1000:g} ms") from None
        except self._failures as error:
            raise TierDown(type(error).__name__) from None


def _client(
    url: str, timeout_s: float, max_connections: int
) -> tuple[Any, tuple[type[Exception], ...]]:
    """Return a client of redis-py, and the errors that mean its server cannot be asked."""
    try:
        # Only where it is configured: the extra is not always installed.
        import redis.asyncio as redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "cache.url needs the Redis client. Install it: pip install 'santral[redis]'."
        ) from None
    try:
        client = redis.Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=max_connections,
            retry=Retry(NoBackoff(), 0),  # a second try would wait as long again
        )
    except ValueError as error:
        raise ConfigError(f"cache.url is not an address of Redis: {error}") from None
    return client, (redis.RedisError, OSError)
