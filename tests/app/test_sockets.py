"""A listening socket, or a sentence that names the setting."""

import socket

import pytest

from santral.app.sockets import address, listen
from santral.errors import ConfigError


def test_port_zero_takes_a_free_one() -> None:
    with listen("127.0.0.1", 0, "server.port") as sock:
        assert address(sock).startswith("http://127.0.0.1:")
        assert not address(sock).endswith(":0")


def test_a_taken_port_names_the_setting_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server.port: port {port} on 127.0.0.1 is in use"):
            listen("127.0.0.1", port, "server.port")


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0, "server.host")
