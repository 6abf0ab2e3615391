"""The file of registered prompts: where it is, and how a worker reads it, without the database."""

from __future__ import annotations

from pathlib import Path

import msgspec

from santral.app.run_file import RunFileReader
from santral.config.schema import Config
from santral.prompts.registry import Registered

PROMPTS_FILE = "prompts.msgpack"

_decode = msgspec.msgpack.Decoder(Registered).decode


def prompts_file(config: Config) -> Path:
    """Return where the parent writes and workers read."""
    return config.data.folder / "run" / PROMPTS_FILE


class PromptsReader(RunFileReader[Registered]):
    """Reads the file again when it was replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _decode)
