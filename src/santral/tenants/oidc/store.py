"""People of the OpenID provider, among the users of the control database."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import select, update

from santral.db.engine import Connection
from santral.db.tables import users
from santral.tenants.tenant import UserId


class Person(Struct, frozen=True, kw_only=True):
    """A user, as far as a sign-in looks at one."""

    id: UserId
    kind: str
    name: str
    email: str | None
    issuer: str | None
    subject: str | None
    is_active: bool


async def find_by_subject(conn: Connection, issuer: str, subject: str) -> Person | None:
    """Return the user for whom the provider vouches under this name."""
    return await _find(conn, (users.c.issuer == issuer) & (users.c.subject == subject))


async def find_by_email(conn: Connection, email: str) -> Person | None:
    """Return the user with this address."""
    return await _find(conn, users.c.email == email)


async def update_person(conn: Connection, user_id: UserId, changes: Mapping[str, object]) -> None:
    """Change columns that only a sign-in changes."""
    await conn.execute(update(users).where(users.c.id == user_id).values(**changes))


async def groups_of(conn: Connection, user_id: UserId) -> frozenset[str]:
    """Return the groups whose documents a user's keys may be answered from."""
    row = (await conn.execute(select(users.c.groups).where(users.c.id == user_id))).one()
    return frozenset(row.groups or ())


async def insert_person(conn: Connection, person: Person, now: datetime) -> None:
    """Add a person who signs in for the first time."""
    values = {
        "id": person.id,
        "kind": person.kind,
        "name": person.name,
        "email": person.email,
        "issuer": person.issuer,
        "subject": person.subject,
        "is_active": person.is_active,
        "created_at": now,
    }
    await conn.execute(users.insert().values(values))


async def _find(conn: Connection, is_meant: object) -> Person | None:
    row = (await conn.execute(select(users).where(is_meant))).first()  # pyright: ignore[reportArgumentType]
    if row is None:
        return None
    return Person(
        id=UserId(row.id),
        kind=row.kind,
        name=row.name,
        email=row.email,
        issuer=row.issuer,
        subject=row.subject,
        is_active=row.is_active,
    )
