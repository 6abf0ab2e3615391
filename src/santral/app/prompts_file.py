"""The file of registered prompts: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from santral.config.schema import Config
from santral.errors import StoreError
from santral.prompts.registry import Registered

PROMPTS_FILE = "prompts.msgpack"

_decode = msgspec.msgpack.Decoder(Registered).decode


def prompts_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / PROMPTS_FILE


class PromptsReader:
    """Reads the file again when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] = (0, 0)

    def read(self) -> Registered | None:
        """Return what the file says, or ``None`` when it is the one read last or is not there.

        Raises:
            StoreError: the file is there and cannot be read.
        """
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp == self._stamp:
                return None
            found = _decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}. Restart santral.") from None
        self._stamp = stamp
        return found
