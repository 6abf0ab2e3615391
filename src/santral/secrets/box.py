"""Seals bytes under one data key, bound to the place where they are kept.

The cipher is XAES-256-GCM: AES-256-GCM under a key made for each message from the data key and the
first half of a 192-bit random nonce. So a nonce never repeats, however many messages one key seals
and however many processes seal with it; plain AES-GCM with random nonces ends at 2^32 messages.
Source: https://c2sp.org/XAES-256-GCM; NIST SP 800-38D, section 8.3.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from santral.errors import SealBroken

#: Returns so many random bytes; ``secrets.token_bytes`` everywhere but in tests.
RandomBytes = Callable[[int], bytes]

KEY_BYTES = 32
_NONCE_BYTES, _HALF, _TAG_BYTES = 24, 12, 16
_BLOCK_BITS = 128


class Box:
    """One data key. ``seal`` costs some microseconds, and never the same bytes twice."""

    __slots__ = ("_blocks", "_mask", "_rng")

    def __init__(self, key: bytes, rng: RandomBytes = secrets.token_bytes) -> None:
        # AES of single blocks is what the derivation is defined by; no message is encrypted so.
        self._blocks = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
        self._mask = _doubled(int.from_bytes(self._blocks.update(bytes(16)), "big"))
        self._rng = rng

    def seal(self, data: bytes, place: bytes) -> bytes:
        """Return ``data`` sealed: nonce, ciphertext, tag. It opens with the same ``place`` alone."""
        nonce = self._rng(_NONCE_BYTES)
        return nonce + self._cipher(nonce).encrypt(nonce[_HALF:], data, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Return what was sealed at ``place``.

        Raises:
            SealBroken: the bytes were changed or cut, sealed elsewhere, or under another key.
        """
        if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
            raise SealBroken("Sealed bytes are cut: restore them from a backup.")
        nonce = sealed[:_NONCE_BYTES]
        try:
            return self._cipher(nonce).decrypt(nonce[_HALF:], sealed[_NONCE_BYTES:], place)
        except InvalidTag:
            raise SealBroken(
                "Sealed bytes do not open: they were changed, moved from the place where they were "
                "sealed, or sealed under another key. Restore them from a backup."
            ) from None

    def __repr__(self) -> str:
        return "Box(…)"

    def _cipher(self, nonce: bytes) -> AESGCM:
        first = int.from_bytes(b"\0\1X\0" + nonce[:_HALF], "big") ^ self._mask
        second = int.from_bytes(b"\0\2X\0" + nonce[:_HALF], "big") ^ self._mask
        return AESGCM(self._blocks.update(first.to_bytes(16, "big") + second.to_bytes(16, "big")))


def place_of(*parts: str) -> bytes:
    """Return the place that ``parts`` name together; no two lists of parts share one."""
    return b"".join(
        len(part).to_bytes(4, "big") + part for part in (p.encode("utf-8") for p in parts)
    )


def _doubled(block: int) -> int:
    """Return the first subkey of CMAC. Source: NIST SP 800-38B, section 6.1."""
    shifted = (block << 1) & ((1 << _BLOCK_BITS) - 1)
    return shifted ^ 0x87 if block >> (_BLOCK_BITS - 1) else shifted
