"""The file of running experiments: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from santral.app.run_file import RunFileReader
from santral.config.schema import Config
from santral.experiments.made import Running

EXPERIMENTS_FILE = "experiments.msgpack"

_decode = msgspec.msgpack.Decoder(list[Running]).decode


def experiments_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / EXPERIMENTS_FILE


class ExperimentsReader(RunFileReader[list[Running]]):
    """Reads the file again when it was replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _decode)
