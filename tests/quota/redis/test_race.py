"""Processes that race for one budget, with Redis restarted in the middle: spent never passes it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cache.redis_server import RedisServer

pytestmark = pytest.mark.redis

PROGRAM = Path(__file__).with_name("race.py")


def race(server: RedisServer, processes: int, *numbers: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", str(PROGRAM), server.url, *map(str, numbers)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]


def results(runs: list[subprocess.Popen[str]]) -> list[list[int]]:
    said = [run.communicate(timeout=50)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * len(runs)
    return [[int(word) for word in text.split()] for text in said]


def test_of_two_processes_one_call_gets_a_budget_worth_one(redis: RedisServer) -> None:
    runs = race(redis, 2, 40, 40, 150, 100)  # a budget of 150, and each call needs up to 100
    found = results(runs)
    spent = sum(line[1] for line in found)
    assert spent <= 150
    assert sum(line[0] for line in found) >= 1


def test_no_restart_of_redis_lets_processes_spend_more_than_the_budget(redis: RedisServer) -> None:
    limit = 20_000
    runs = race(redis, 2, 1500, 20, limit, 100)
    time.sleep(1.5)
    redis.restart()
    time.sleep(2.5)
    redis.restart()
    found = results(runs)
    spent = sum(line[1] for line in found)
    assert spent <= limit
    assert sum(line[0] for line in found) > 150, "and those that could were let in"
