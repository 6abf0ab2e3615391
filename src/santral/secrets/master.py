"""The master key: wraps data keys and seals nothing else."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Protocol

from santral.config.secret import SecretRef
from santral.errors import ConfigError
from santral.secrets.box import KEY_BYTES, Box, RandomBytes, place_of

_HOW = "Make one with: openssl rand -base64 32"


class KeyWrapper(Protocol):
    """Wraps data keys: a master key of ours, or somebody else's key management."""

    @property
    def id(self) -> str:
        """Which key wraps, in at most 64 characters; says nothing about the key itself."""
        ...

    def wrap(self, key: bytes, place: bytes) -> bytes:
        """Return ``key`` wrapped; it unwraps at the same ``place`` alone. May ask over the network."""
        ...

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        """Return the key.

        Raises:
            SealBroken: it was changed, moved, or wrapped under another key.
            StoreError: nobody answers who could unwrap it.
        """
        ...


class MasterKey:
    """A key from the environment or a file: 32 bytes, in base 64 or hexadecimal."""

    def __init__(self, key: bytes, rng: RandomBytes = secrets.token_bytes) -> None:
        self._box = Box(key, rng)
        self._id = "master:" + hashlib.sha256(b"santral master key\0" + key).hexdigest()[:16]

    @classmethod
    def read(cls, reference: SecretRef, setting: str) -> MasterKey:
        """Return the key that ``reference`` gives.

        Raises:
            ConfigError: it is not there, or is no key.
        """
        return cls(_key_bytes(reference.reveal(), f"{setting} ({reference})"))

    @property
    def id(self) -> str:
        return self._id

    def wrap(self, key: bytes, place: bytes) -> bytes:
        return self._box.seal(key, place_of("wrapped") + place)

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        return self._box.open(wrapped, place_of("wrapped") + place)

    def __repr__(self) -> str:
        return f"MasterKey({self._id})"


def _key_bytes(text: str, where: str) -> bytes:
    try:
        key = (
            bytes.fromhex(text)
            if len(text) == 2 * KEY_BYTES
            else base64.b64decode(text, "-_", validate=True)
        )
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{where} is not a key of {KEY_BYTES} bytes in base 64. {_HOW}")
    return key
