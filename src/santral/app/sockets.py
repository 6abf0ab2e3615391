"""Listening sockets: bound by the supervisor, handed to its children, kept while one restarts."""

from __future__ import annotations

import errno
import socket

from santral.errors import ConfigError

#: Connections the kernel queues while a worker is busy or restarts. Chosen: uvicorn's default.
BACKLOG = 2048


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Return a listening socket.

    Raises:
        ConfigError: the port is taken, not allowed, or the address is not ours; names ``setting``.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
        sock.set_inheritable(True)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{setting}: {_reason(host, port, error)}") from None
    return sock


def address(sock: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use, perhaps by another Santral. Stop it, or set another "
            "port (0 takes a free one)."
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has. Set a port above 1023."
    return f"cannot listen on {host}:{port}: {error.strerror or error}."
