"""Where Redis is: ``redis://``, ``rediss://`` and ``unix://`` addresses."""

from __future__ import annotations

import ssl
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from santral.errors import ConfigError


class Address(Struct, frozen=True, kw_only=True):
    """One server and how to sign in there."""

    host: str = ""
    port: int = 6379
    path: str = ""  # of a Unix socket, in place of host and port
    username: str = ""
    password: str = ""
    database: int = 0
    is_tls: bool = False

    def __repr__(self) -> str:
        return f"Address({self.path or f'{self.host}:{self.port}'})"

    def at(self, host: str, port: int) -> Address:
        """Return the address of another server of the same cluster."""
        return Address(
            host=host or self.host,
            port=port,
            username=self.username,
            password=self.password,
            is_tls=self.is_tls,
        )

    def opening(self) -> list[tuple[bytes | str, ...]]:
        """Return the commands that a new connection begins with."""
        commands: list[tuple[bytes | str, ...]] = []
        if self.password:
            who = (self.username,) if self.username else ()
            commands.append(("AUTH", *who, self.password))
        if self.database:
            commands.append(("SELECT", str(self.database)))
        return commands

    def tls(self) -> ssl.SSLContext | None:
        """Return how certificates are checked; None where nothing is encrypted."""
        return ssl.create_default_context() if self.is_tls else None


def read_address(url: str) -> Address:
    """Read an address such as ``redis://user:password@host:6379/0``.

    Raises:
        ConfigError: it is none of Redis.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError as error:
        raise _unreadable(str(error)) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise _unreadable("it begins with redis://, rediss:// or unix://")
    is_unix = parts.scheme == "unix"
    database = parse_qs(parts.query).get("db", ["0"])[0] if is_unix else parts.path.strip("/")
    if database and not database.isdigit():
        raise _unreadable(f"'{database}' is not the number of a database")
    if not is_unix and not parts.hostname:
        raise _unreadable("it names no host")
    return Address(
        host=parts.hostname or "",
        port=port,
        path=unquote(parts.path) if is_unix else "",
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=int(database or 0),
        is_tls=parts.scheme == "rediss",
    )


def _unreadable(reason: str) -> ConfigError:
    return ConfigError(
        f"limits.url is not an address of Redis: {reason}. It looks like redis://host:6379/0."
    )
