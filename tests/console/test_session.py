from __future__ import annotations

import asyncio

import pytest

from santral.console.session import LIFETIME_S, Sessions
from santral.errors import Unauthenticated


class Door:
    def __init__(self) -> None:
        self.valid = {"good"}
        self.now = 1000.0
        self.sessions = Sessions(self.identify, lambda: self.now)

    async def identify(self, key: str) -> str:
        if key not in self.valid:
            raise Unauthenticated("no")
        return f"holder of {key}"

    def begin(self, key: str = "good") -> str:
        return asyncio.run(self.sessions.begin(key))

    def who(self, cookie: str | None) -> str | None:
        return asyncio.run(self.sessions.who(cookie))


def test_a_session_knows_its_holder_and_hides_the_key() -> None:
    door = Door()
    cookie = door.begin()
    assert door.who(cookie) == "holder of good"
    assert "good" not in cookie


def test_a_wrong_key_begins_nothing() -> None:
    with pytest.raises(Unauthenticated):
        Door().begin("bad")


def test_a_session_ends_by_itself() -> None:
    door = Door()
    cookie = door.begin()
    door.now += LIFETIME_S - 1
    assert door.who(cookie)
    door.now += 1
    assert door.who(cookie) is None


def test_a_revoked_key_ends_its_session_for_good() -> None:
    door = Door()
    cookie = door.begin()
    door.valid.clear()
    assert door.who(cookie) is None
    door.valid.add("good")
    assert door.who(cookie) is None


def test_signing_out_ends_one_session_only() -> None:
    door = Door()
    first, second = door.begin(), door.begin()
    door.sessions.end(first)
    door.sessions.end("nonsense")
    assert (door.who(first), door.who(second)) == (None, "holder of good")


def test_no_changed_cookie_is_accepted() -> None:
    door = Door()
    cookie = door.begin()
    name, until, signature = cookie.split(".")
    later = f"{name}.{int(until) + 1}.{signature}"
    swapped = [cookie[:i] + chr(ord(cookie[i]) ^ 1) + cookie[i + 1 :] for i in range(len(cookie))]
    forged = [
        later,
        f"{name}..{signature}",
        f"{name}.{until}.",
        name,
        "",
        None,
        "ğ.1.ğ",
        "a.²." + signature,
    ]
    for changed in (*swapped, *forged):
        assert door.who(changed) is None
    other = Door()
    assert other.who(cookie) is None


def test_sessions_are_bounded_and_the_oldest_ends() -> None:
    door = Door()
    cookies = [door.begin() for _ in range(1001)]
    assert door.who(cookies[0]) is None
    assert door.who(cookies[1])
