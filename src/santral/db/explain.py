"""What a database failure means for a person: one sentence and a remedy, never the password."""

from __future__ import annotations

from sqlalchemy import URL

from santral.errors import StoreError

#: Part of a driver's message, or PostgreSQL's code in brackets -> what to tell; the first that fits.
#: Source: https://www.sqlite.org/rescode.html and PostgreSQL's appendix A, error codes.
_KNOWN = (
    ("no such table", "has not been migrated. Run: santral db migrate"),
    ("[42p01]", "has not been migrated. Run: santral db migrate"),
    ("no such column", "is older than this version. Run: santral db migrate"),
    ("[42703]", "is older than this version. Run: santral db migrate"),
    (
        "readonly database",
        "is on a read-only disk or belongs to another user. Make its folder writable, "
        "or set data.folder to another place.",
    ),
    (
        "unable to open database file",
        "cannot be opened. Check that its folder exists and that this user may write there.",
    ),
    ("file is not a database", "is a file of another kind. Move it away, or set data.folder."),
    ("malformed", "is damaged. Restore it from a backup."),
    ("disk is full", "has no room left on its disk. Free some space."),
    (
        "disk i/o error",
        "cannot be written: the disk reports an error. Check the disk, and that it has room.",
    ),
    (
        "database is locked",
        "is held by another process. Look for a second writer, such as a backup, and try again.",
    ),
    (
        "refused",
        "refuses connections. Check that the server runs, and the host and port of database.url.",
    ),
    ("connect call failed", "cannot be reached. Check the host and port of database.url."),
    ("no such file or directory", "has no socket there. Check the host of database.url."),
    ("name or service not known", "has an unknown host. Check the host of database.url."),
    ("nodename nor servname", "has an unknown host. Check the host of database.url."),
    ("name resolution", "has a host that cannot be resolved now. Check the network."),
    ("[28p01]", "does not accept the user or password. Check database.url."),
    ("[28000]", "does not admit this user. Check database.url and the server's pg_hba.conf."),
    ("[53100]", "has no room left on its disk. Free some space there."),
    ("[3d000]", "does not exist on the server. Create it: createdb NAME"),
    (
        "[53300]",
        "has no free connections. Raise max_connections or run fewer processes.",
    ),
    ("[42501]", "does not let this user do that. Grant it the rights of an owner."),
    ("[25006]", "is read-only there. Point database.url at the primary."),
    ("[57p01]", "is shutting down. Try again when it is back."),
    ("[57p03]", "is starting up. Try again in a moment."),
    ("connection was closed", "closed the connection. Try again; if it stays so, look at its log."),
    ("connection is closed", "closed the connection. Try again; if it stays so, look at its log."),
    ("timeout", "does not answer in time. Check the network and the load of the server."),
)


class DatabaseError(StoreError):
    """The control database failed; ``is_known`` says that the message names the remedy."""

    is_known = True


def explain(error: BaseException, target: URL) -> DatabaseError:
    """Return the error to raise for a driver's ``error`` on the database at ``target``."""
    place = _place(target)
    told = f"[{getattr(error, 'sqlstate', '')}] {type(error).__name__} {error}".lower()
    for part, remedy in _KNOWN:
        if part in told:
            return DatabaseError(f"The database {place} {remedy}")
    unknown = DatabaseError(f"The database {place} failed: {error}")
    unknown.is_known = False
    return unknown


def _place(target: URL) -> str:
    if target.get_backend_name() == "sqlite":
        return target.database or ":memory:"
    host = target.host or target.query.get("host") or "localhost"
    return f"{target.database or ''} at {host}:{target.port or 5432}"
