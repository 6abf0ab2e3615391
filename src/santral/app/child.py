"""One role as a child of ``santral serve``: a socket from the parent, and the half it needs imported.

Run as ``python -m santral.app.child --role gateway --fd 7 [--config FILE]``. It has no command line for
people, so it starts 0.2 s sooner without the libraries of one.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path

import uvloop

from santral.config.load import LoadedConfig, load
from santral.errors import SantralError
from santral.web.log import configure_logs

#: The exit status that tells the parent that starting again would not help.
CANNOT_START = 2


async def run(loaded: LoadedConfig, role: str, sock: socket.socket) -> None:
    """Serve a role until a signal."""
    # Each role imports its own half: a worker without pages and stores starts sooner and is smaller.
    if role == "gateway":
        from santral.app.gateway import run_gateway  # noqa: PLC0415

        await run_gateway(loaded, sock)
    else:
        from santral.app.control import run_control  # noqa: PLC0415

        await run_control(loaded, sock)


def main() -> int:
    """Run; what makes a start impossible is one sentence and ``CANNOT_START``."""
    parser = argparse.ArgumentParser(prog="santral.app.child")
    parser.add_argument("--role", choices=("gateway", "control"), required=True)
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--config", type=Path)
    options = parser.parse_args()
    try:
        loaded = load(options.config, os.environ)
        configure_logs(loaded.config.log.level, loaded.config.log.format)
        uvloop.run(run(loaded, options.role, socket.socket(fileno=options.fd)))
    except SantralError as error:
        sys.stderr.write(f"santral: {error.message}\n")
        return CANNOT_START
    return 0


if __name__ == "__main__":
    sys.exit(main())
