"""Networks and addresses as people and proxies write them."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.network import parse_address, parse_network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        (" 192.0.2.7 ", "192.0.2.7/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_a_network_is_kept_in_one_spelling(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0.1/8", "did you mean 10.0.0.0/8"),
        ("::ffff:10.0.0.1/104", "did you mean ::ffff:a00:0/104"),
        ("10.0.0.0/33", "no network"),
        ("10.0.0/8", "no network"),
        ("010.0.0.0/8", "no network"),
        ("fe80::%eth0/64", "no network"),
        ("", "no network"),
        ("x" * 65536, "no network"),
        ("\u0661\u0660.0.0.0/8", "no network"),
    ],
)
def test_what_is_no_network_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=r"no network|interface") as caught:
        parse_network(text)
    assert says in str(caught.value) or "interface" in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:443", "203.0.113.7"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
    ],
)
def test_an_address_is_read_with_or_without_its_port(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@given(st.ip_addresses())
def test_every_address_is_itself_and_within_its_own_network(address: object) -> None:
    parsed = parse_address(str(address))
    assert parsed in parse_network(str(address))


@given(st.ip_addresses(v=4), st.integers(0, 32))
def test_ipv4_written_as_ipv6_is_the_same_network(address: object, bits: int) -> None:
    plain = ip_network(f"{address}/{bits}", strict=False)
    mapped = f"::ffff:{plain.network_address}/{bits + 96}"
    assert parse_network(mapped) == plain
    assert parse_address(f"::ffff:{address}") == ip_address(str(address))
