"""The sealed secrets of a worker: opened from the file that the parent publishes, with the master key.

So a worker needs no database, and nothing lies in clear anywhere. Source:
docs/decisions/0019-audit-and-secrets.md.
"""

from __future__ import annotations

import threading

import msgspec
from msgspec import Struct

from santral.config.schema import Config
from santral.config.sealed import sealed_file
from santral.config.secret import SEALED
from santral.errors import StoreError
from santral.secrets.data_key import TenantBox
from santral.secrets.opened import open_secrets
from santral.secrets.row import DataKeyRow, SecretRow
from santral.secrets.wrappers import Wrappers, wrappers_from


class SealedRecord(Struct, frozen=True):
    """Wrapped data keys and sealed secrets."""

    keys: list[DataKeyRow]
    secrets: list[SecretRow]


encode_sealed = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SealedRecord).decode


class SealedReader:
    """A worker's side: opens the file again when it was replaced."""

    def __init__(self, config: Config) -> None:
        self._path = sealed_file(config)
        self._config = config
        self._stamp: tuple[int, int] = (0, 0)
        self._wrappers: Wrappers | None = None
        self._boxes: dict[str, TenantBox] = {}
        self._lock = threading.Lock()  # looks come from a thread and from the event loop

    def look(self) -> bool:
        """Hold what the file says for the whole process; return whether it is new.

        Raises:
            ConfigError: no master key.
            SealBroken: a secret does not open; those of before stay.
            StoreError: the file cannot be read, or the key management does not answer.
        """
        with self._lock:
            return self._look()

    def _look(self) -> bool:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return False
            record = _decode(self._path.read_bytes())
        except FileNotFoundError:
            return False
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}. Restart santral.") from None
        if self._wrappers is None:
            self._wrappers = wrappers_from(self._config.secrets)
        values = open_secrets(self._wrappers, record.keys, record.secrets, self._boxes)
        self._boxes = {key.id: self._boxes[key.id] for key in record.keys if key.id in self._boxes}
        SEALED.hold(values)
        self._stamp = stamp
        return True
