"""One role as a child of ``santral serve``: sockets from the parent, and the half it needs imported.

Run as ``python -m santral.app.child --role gateway --fds 7 [--config FILE]``. It has no command line for
people, so it starts 0.2 s sooner without the libraries of one.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import uvloop

from santral.app.channel import Channel
from santral.app.handover import Handover
from santral.app.station import Station
from santral.config.load import LoadedConfig, load
from santral.errors import SantralError
from santral.web.log import configure_logs

#: The exit status that tells the parent that starting again would not help.
CANNOT_START = 2


async def run(loaded: LoadedConfig, role: str, station: Station) -> None:
    """Serve a role until a signal."""
    # Each role imports its own half: a worker without pages and stores starts sooner and is smaller.
    if role == "gateway":
        from santral.app.gateway import run_gateway  # noqa: PLC0415

        await run_gateway(loaded, station)
    else:
        from santral.app.control import run_control  # noqa: PLC0415

        await run_control(loaded, station)


def main() -> int:
    """Run; what makes a start impossible is one sentence and ``CANNOT_START``."""
    options = _parser().parse_args()
    # A worker that hangs is asked where. Not SIGABRT: its dump of memory would hold keys.
    faulthandler.register(signal.SIGUSR1)
    try:
        loaded = load(options.config, os.environ)
        configure_logs(loaded.config.log.level, loaded.config.log.format)
        if options.role == "gateway":
            _number_logs(options.number)
        uvloop.run(run(loaded, options.role, _station(options)))
    except SantralError as error:
        sys.stderr.write(f"santral: {error.message}\n")
        return CANNOT_START
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="santral.app.child")
    parser.add_argument("--role", choices=("gateway", "control"), required=True)
    parser.add_argument("--fds", type=_numbers, required=True)
    parser.add_argument("--neighbours", type=_numbers, default=())
    parser.add_argument("--handover", type=_numbers, default=())
    parser.add_argument("--channel", type=int)
    parser.add_argument("--number", type=int, default=0)
    parser.add_argument("--config", type=Path)
    return parser


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _station(options: argparse.Namespace) -> Station:
    handover: tuple[int, ...] = options.handover
    return Station(
        number=options.number,
        sockets=[socket.socket(fileno=fd) for fd in options.fds],
        neighbours=[socket.socket(fileno=fd) for fd in options.neighbours],
        channel=None if options.channel is None else Channel(socket.socket(fileno=options.channel)),
        handover=Handover.of((handover[0], handover[1])) if handover else None,
    )


def _number_logs(number: int) -> None:
    """Let every line of this process's log name its worker."""

    def note(record: logging.LogRecord) -> bool:
        record.worker = number
        return True

    for handler in logging.getLogger().handlers:
        handler.addFilter(note)


if __name__ == "__main__":
    sys.exit(main())
