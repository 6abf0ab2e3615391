"""Where a request came from: the socket's other end, or what trusted proxies say of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.web.peer import NOBODY, Networks, peer_address

PROXIES = Networks(["10.0.0.0/8", "2001:db8:1::/48"])


def peer(connected: str | None, *forwarded: str, trusted: Networks = PROXIES) -> str:
    return str(peer_address(connected, forwarded, trusted))


def test_nobody_is_believed_unless_trusted() -> None:
    assert peer("203.0.113.7", "192.0.2.1", trusted=NOBODY) == "203.0.113.7"
    assert peer("203.0.113.7", "192.0.2.1") == "203.0.113.7"
    assert not NOBODY


@pytest.mark.parametrize(
    ("connected", "forwarded", "found"),
    [
        ("10.1.1.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["192.0.2.66, 203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["192.0.2.66", "203.0.113.7, 10.2.2.2"], "203.0.113.7"),
        ("10.1.1.1", ["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
        ("10.1.1.1", ["203.0.113.7:5555"], "203.0.113.7"),
        ("2001:db8:1::5", ["[2001:db8:9::1]:443"], "2001:db8:9::1"),
        ("::ffff:10.1.1.1", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("10.1.1.1", ["192.0.2.66, unknown"], "None"),
        ("10.1.1.1", [""], "None"),
        ("10.1.1.1", ["203.0.113.7, "], "None"),
        (None, ["203.0.113.7"], "None"),
        ("", [], "None"),
        ("/run/santral.sock", [], "None"),
    ],
)
def test_the_rightmost_hop_that_is_not_trusted_is_the_client(
    connected: str | None, forwarded: list[str], found: str
) -> None:
    assert peer(connected, *forwarded) == found


@given(
    st.lists(st.ip_addresses().map(str) | st.text(max_size=20), max_size=6), st.ip_addresses(v=4)
)
def test_nothing_a_client_writes_makes_it_somebody_else(claims: list[str], real: object) -> None:
    """The proxy adds the client's address on the right, whatever the client wrote before it."""
    if str(real).startswith("10."):
        return
    claimed = ", ".join(claim.replace(",", "") for claim in claims)
    lines = [claimed, str(real)] if claims else [str(real)]
    assert peer("10.1.1.1", *lines) == str(real)
