"""Listening sockets: bound by the supervisor, handed to its children, kept while one restarts."""

from __future__ import annotations

import errno
import socket

from santral.errors import ConfigError

#: Connections the kernel queues while a worker is busy or restarts. Chosen: uvicorn's default.
BACKLOG = 2048


def listen(host: str, port: int, setting: str, count: int = 1) -> list[socket.socket]:
    """Return ``count`` sockets that listen on one address; the kernel spreads connections over them.

    Raises:
        ConfigError: the port is taken, not allowed, or the address is not ours; names ``setting``.
    """
    first = _bound(host, port, setting, shared=False)
    # Only now: whoever else asks for the port is refused, another Santral of ours too.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sockets = [first, *add_listeners(first, setting, count - 1)]
    first.listen(BACKLOG)
    return sockets


def add_listeners(first: socket.socket, setting: str, count: int) -> list[socket.socket]:
    """Return ``count`` more sockets on the address of ``first``; raises as ``listen``."""
    host, port = first.getsockname()[:2]
    more = [_bound(host, port, setting, shared=True) for _ in range(count)]
    for sock in more:
        sock.listen(BACKLOG)
    return more


def is_on(sock: socket.socket, host: str, port: int) -> bool:
    """Whether a socket listens where a configuration wants it; port 0 is content with any."""
    bound_host, bound_port = sock.getsockname()[:2]
    return bound_host == host and port in (0, bound_port)


def address(sock: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound(host: str, port: int, setting: str, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        sock.setblocking(False)
        sock.set_inheritable(True)
    except OSError as error:
        sock.close()
        raise ConfigError(f"{setting}: {_reason(host, port, error)}") from None
    return sock


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use, perhaps by another Santral. Stop it, or set another "
            "port (0 takes a free one)."
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has. Set a port above 1023."
    return f"cannot listen on {host}:{port}: {error.strerror or error}."
