"""Listening sockets that share a port, or a sentence that names the setting."""

import socket

import pytest

from santral.app.sockets import add_listeners, address, is_on, listen
from santral.errors import ConfigError


def test_port_zero_takes_a_free_one() -> None:
    (sock,) = listen("127.0.0.1", 0, "server.port")
    with sock:
        assert address(sock).startswith("http://127.0.0.1:")
        assert not address(sock).endswith(":0")
        assert is_on(sock, "127.0.0.1", 0)
        assert not is_on(sock, "127.0.0.1", 1)


def test_connections_are_spread_over_all_sockets() -> None:
    listeners = listen("127.0.0.1", 0, "server.port", 3)
    listeners += add_listeners(listeners[0], "server.port", 1)
    clients = [socket.create_connection(listeners[0].getsockname()) for _ in range(200)]
    accepted = [_accept_all(sock) for sock in listeners]
    assert sum(accepted) == 200
    assert min(accepted) >= 20, accepted  # 50 are expected, six deviations below
    for sock in [*listeners, *clients]:
        sock.close()


def _accept_all(listener: socket.socket) -> int:
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_taken_port_names_the_setting_and_the_remedy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"server.port: port {port} on 127.0.0.1 is in use"):
            listen("127.0.0.1", port, "server.port")


def test_a_second_santral_does_not_get_half_of_the_connections() -> None:
    listeners = listen("127.0.0.1", 0, "server.port", 2)
    port = listeners[0].getsockname()[1]
    with pytest.raises(ConfigError, match=r"is in use, perhaps by another Santral"):
        listen("127.0.0.1", port, "server.port", 2)
    for sock in listeners:
        sock.close()


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0, "server.host")
