"""Seals what waits in a file for another process of ours.

A worker has no database, so no tenant's data key: it makes a key of its own, wrapped by the master key,
and the wrapped key stands beside everything it seals. Whoever has the master key can open it.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from functools import lru_cache

from santral.config.safekeeping import SecretsConfig
from santral.errors import SealBroken
from santral.secrets.box import KEY_BYTES, Box, RandomBytes, place_of
from santral.secrets.master import MasterKey
from santral.secrets.wrappers import Wrappers

_PLACE = place_of("waiting")
#: Keys of other processes that stay open. Chosen: some restarts of some workers.
_OPEN = 64


class WaitingBox:
    """What one process seals with; ``wrapped`` is its key as others can open it."""

    __slots__ = ("_box", "wrapped")

    def __init__(self, wrappers: Wrappers, rng: RandomBytes = secrets.token_bytes) -> None:
        key = rng(KEY_BYTES)
        current = wrappers.current
        self.wrapped = f"{current.id} {b64encode(current.wrap(key, _PLACE)).decode()}"
        self._box = Box(key, rng)

    def seal(self, place: str, text: str) -> str:
        """Return ``text`` sealed for ``place``, in base 64."""
        return b64encode(self._box.seal(text.encode(), place_of("waiting", place))).decode()

    def __repr__(self) -> str:
        return "WaitingBox(…)"


class WaitingKeys:
    """Opens what other processes sealed."""

    def __init__(self, wrappers: Wrappers) -> None:
        self._wrappers = wrappers
        self._box = lru_cache(_OPEN)(self._opened)

    def open(self, wrapped: str, place: str, sealed: str) -> str:
        """Return what was sealed for ``place`` under the key that ``wrapped`` holds.

        Raises:
            SealBroken: changed, cut, or sealed elsewhere.
            ConfigError: the key that wrapped it is not configured.
        """
        try:
            data = b64decode(sealed, validate=True)
        except ValueError:
            raise SealBroken("Sealed text of the spool was changed: it is no base 64.") from None
        return self._box(wrapped).open(data, place_of("waiting", place)).decode()

    def _opened(self, wrapped: str) -> Box:
        wrapped_by, _, text = wrapped.partition(" ")
        return Box(self._wrappers.unwrap(wrapped_by, b64decode(text), _PLACE), secrets.token_bytes)


def waiting_box(config: SecretsConfig) -> WaitingBox | None:
    """Return what a worker seals with; None without a master key.

    A key management wraps data keys of tenants alone: no start of a worker waits for it.

    Raises:
        ConfigError: the master key cannot be read.
    """
    if config.master_key is None:
        return None
    return WaitingBox(Wrappers(MasterKey.read(config.master_key, "secrets.master_key"), {}))
