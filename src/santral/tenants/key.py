"""The text of a virtual key: ``sk-santral-`` + 43 random characters + 4 that check them."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable

from msgspec import Struct

from santral.errors import BadRequest

#: Returns so many random bytes; ``secrets.token_bytes`` everywhere but in tests.
RandomBytes = Callable[[int], bytes]

MARK = "sk-santral-"
_SECRET_BYTES = 32  # 256 bits: chosen, beyond guessing; 43 characters in base 64
_SECRET_LENGTH = 43
_CHECK_LENGTH = 4  # 24 bits: one mistyped key in 16 million passes, and is then merely unknown
KEY_LENGTH = len(MARK) + _SECRET_LENGTH + _CHECK_LENGTH

#: Characters of the random part that are kept to recognise a key; 37 unknown ones remain. Chosen.
_SHOWN = 6


class NewKey(Struct, frozen=True):
    """A key at the only moment when its text is known."""

    plaintext: str
    prefix: str
    digest: str

    def __repr__(self) -> str:
        return f"NewKey({self.prefix}…)"


def new_key(rng: RandomBytes) -> NewKey:
    """Make a key; the plaintext is to be shown once and never stored."""
    secret = urlsafe_b64encode(rng(_SECRET_BYTES)).decode("ascii").rstrip("=")
    return known_key(MARK + secret + _check(secret))


def known_key(plaintext: str) -> NewKey:
    """Return a key whose text is known already.

    Raises:
        BadRequest: it is not a whole key of ours.
    """
    if not is_intact(plaintext):
        raise BadRequest(
            f"This is not a whole key: one begins with {MARK} and has {KEY_LENGTH} characters, the "
            "last of which check the others."
        )
    return NewKey(plaintext, plaintext[: len(MARK) + _SHOWN], digest(plaintext).hex())


def digest(plaintext: str) -> bytes:
    """Return what is stored and looked up in place of the key.

    One round of SHA-256 is enough here: slow hashes protect passwords, which people choose; a key
    is 256 random bits.
    """
    return hashlib.sha256(plaintext.encode("utf-8", "replace")).digest()


def is_intact(plaintext: str) -> bool:
    """Whether the check characters match: a typo or a cut is found without a look-up."""
    secret, check = plaintext[len(MARK) : -_CHECK_LENGTH], plaintext[-_CHECK_LENGTH:]
    return len(plaintext) == KEY_LENGTH and plaintext.startswith(MARK) and check == _check(secret)


def holds_secret(text: str) -> bool:
    """Whether ``text`` is a key, or more of one than lists show: mistyped ones, too."""
    return text.startswith(MARK) and len(text.rstrip("…")) > len(MARK) + _SHOWN


def _check(secret: str) -> str:
    summed = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
    return urlsafe_b64encode(summed[:3]).decode("ascii")
