"""The server of recordings serves what it was given, in pieces, and remembers who asked."""

from __future__ import annotations

import http.client
import json

import pytest
from tests.replay import Recording, Replay


def ask(replay: Replay, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(replay.base_url.removeprefix("http://"))
    try:
        connection.request("POST", path, json.dumps({"a": 1}), {"X-Mine": "yes"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_recordings_come_in_order_and_the_last_one_stays() -> None:
    with Replay() as replay:
        replay.will("/v1/x", Recording(b"one", status=429), Recording(b"two and more", piece=5))
        assert ask(replay, "/v1/x?q=1") == (429, b"one")
        assert [ask(replay, "/v1/x") for _ in range(2)] == [(200, b"two and more")] * 2
        assert (replay.asked[0].query, replay.asked[0].headers["x-mine"]) == ("q=1", "yes")
        assert replay.asked[0].json == {"a": 1}
        assert ask(replay, "/v1/other")[0] == 404


def test_a_cut_recording_has_no_end() -> None:
    with Replay() as replay:
        replay.will("/v1/x", Recording(b"half", is_cut=True))
        with pytest.raises(http.client.IncompleteRead):
            ask(replay, "/v1/x")
