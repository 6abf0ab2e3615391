"""Files of the folder ``run/``: the parent writes them whole, workers read them."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file where what it holds is another; only its owner reads it.

    A reader sees the old file or the new one, however many write.

    Raises:
        OSError: it cannot be written.
    """
    try:
        if path.read_bytes() == content:
            return
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_name(f"{path.name}.{os.getpid()}-{token_hex(4)}")
    fd = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    making.replace(path)
