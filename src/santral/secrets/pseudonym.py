"""Keyed hashes: what stands for a text or a person that is not kept.

The same text of the same tenant has the same hash, so equal ones are found together; without the key
nobody can try texts until one fits.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from santral.config.schema import Config
from santral.errors import StoreError

KEY_BYTES = 32
_FILE = "pseudonym.key"
#: Of HMAC-SHA-256: 128 bits, so that two texts never share one by chance.
_DIGITS = 32


class Pseudonyms:
    """Hashes under the key of the installation; the key is read, or made, when first needed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._key = b""

    def of_text(self, tenant_id: str, text: str) -> str:
        """Return what stands for a text of a tenant.

        Raises:
            StoreError: the key can be neither read nor made.
        """
        return self._hash("text", tenant_id, text)

    def of_user(self, tenant_id: str, user: str) -> str:
        """Return what stands for a user of a tenant; raises as ``of_text``."""
        return self._hash("user", tenant_id, user)

    def _hash(self, *parts: str) -> str:
        if not self._key:
            self._key = _key(self._config)
        data = b"".join(len(p).to_bytes(4, "big") + p for p in (x.encode() for x in parts))
        return hmac.digest(self._key, data, "sha256").hex()[:_DIGITS]


def keys_folder(data_folder: Path) -> Path:
    """Return where an installation keeps keys of its own, one file of mode 0600 for each."""
    return data_folder / "keys"


def key_file(path: Path, made: bytes) -> bytes:
    """Return what ``path`` holds; where it is not there yet, put ``made`` there first.

    Two processes may come at once: both get what the first one wrote.

    Raises:
        StoreError: it can be neither read nor made.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _link_new(path, made)
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"The key {path} can be neither read nor made: {error.strerror or error}. Make its folder "
            "writable for this process."
        ) from None


def _key(config: Config) -> bytes:
    if config.telemetry.hash_key is not None:
        return hashlib.sha256(config.telemetry.hash_key.reveal().encode()).digest()
    return key_file(keys_folder(config.data.folder) / _FILE, secrets.token_bytes(KEY_BYTES))


def _link_new(path: Path, data: bytes) -> None:
    """Make a file whole or not at all, unless somebody else made it first."""
    making = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(making, path)
        except FileExistsError:
            return
    finally:
        making.unlink(missing_ok=True)
