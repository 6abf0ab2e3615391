"""The file of running experiments: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from santral.config.schema import Config
from santral.errors import StoreError
from santral.experiments.made import Running

EXPERIMENTS_FILE = "experiments.msgpack"

_decode = msgspec.msgpack.Decoder(list[Running]).decode


def experiments_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / EXPERIMENTS_FILE


class ExperimentsReader:
    """Reads the file again when it was replaced."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)

    def read(self) -> list[Running] | None:
        """Return the running experiments; None where the file is as it was, or is not there.

        Raises:
            StoreError: the file cannot be read.
        """
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if seen == self._stamp:
                return None
            found = _decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise StoreError(f"{self._path} cannot be read: {error}. Restart santral.") from None
        self._stamp = seen
        return found
