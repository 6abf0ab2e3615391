"""Objects on disk: whole or not there, bounded, and never another tenant's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import StoreError, TooLarge
from santral.gateway.objects import ABANDONED_S, SWEEP_EVERY_S, Bounds, ObjectFolder

BOUNDS = Bounds(keep_s=100, count=10, size_bytes=10_000, object_bytes=1000)


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Box:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = Clock()
        self.folder = ObjectFolder(root, "things", self.clock)

    def put(
        self, name: str, data: bytes = b"x", tenant: str = "acme", bounds: Bounds = BOUNDS
    ) -> None:
        self.clock.now += 1
        asyncio.run(self.folder.put(tenant, name, data, bounds))

    def get(self, name: str, tenant: str = "acme", keep_s: float = 100) -> bytes | None:
        return asyncio.run(self.folder.get(tenant, name, keep_s))

    def delete(self, name: str, tenant: str = "acme") -> bool:
        return asyncio.run(self.folder.delete(tenant, name))

    @property
    def files(self) -> list[str]:
        return sorted(str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "objects")


def test_what_is_put_can_be_read_and_deleted(box: Box) -> None:
    box.put("a", b"hello")
    assert box.get("a") == b"hello"
    assert box.files == ["acme/things/a.json"]
    assert box.delete("a") is True
    assert box.get("a") is None
    assert box.delete("a") is False


def test_what_is_put_outlives_the_process(box: Box) -> None:
    box.put("a", b"hello")
    again = Box(box.root)
    again.clock.now = box.clock.now
    assert again.get("a") == b"hello"


def test_only_the_owner_of_the_process_can_read_the_files(box: Box) -> None:
    box.put("a")
    assert (box.root / "acme/things/a.json").stat().st_mode & 0o077 == 0


def test_two_tenants_never_see_each_others(box: Box) -> None:
    box.put("same", b"ours", tenant="acme")
    box.put("same", b"theirs", tenant="other")
    assert box.get("same", "acme") == b"ours"
    assert box.get("same", "other") == b"theirs"
    assert box.delete("same", "other") is True
    assert box.get("same", "acme") == b"ours"


@given(name=st.text(max_size=30), tenant=st.sampled_from(["acme", "..", "a/b", ""]))
def test_no_name_leads_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, name: str, tenant: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "traversal"
    (root / "acme" / "things").mkdir(parents=True, exist_ok=True)
    (root / "secret.json").write_text("secret")
    box = Box(root)
    for hostile in (name, f"../{name}", "../../secret", "..%2f..%2fsecret", f"{name}\0"):
        assert box.get(hostile, tenant) is None
        assert box.delete(hostile, tenant) is False
    assert (root / "secret.json").exists()


@pytest.mark.parametrize("name", ["../a", "a/b", "", "a.json", "a" * 129, "a\n"])
def test_a_name_that_is_none_is_refused_before_the_disk(box: Box, name: str) -> None:
    with pytest.raises(StoreError):
        box.put(name)
    assert box.files == []


def test_what_is_over_its_time_is_not_read_and_goes_with_the_next_sweep(box: Box) -> None:
    box.put("old")
    box.clock.now += 101
    assert box.get("old") is None
    box.clock.now += SWEEP_EVERY_S
    box.put("new")
    assert box.files == ["acme/things/new.json"]


def test_a_sweep_forgets_also_for_tenants_that_write_nothing_more(box: Box) -> None:
    for tenant in ("acme", "gone"):
        box.put("old", tenant=tenant)
    box.clock.now += 90
    box.put("young")
    box.clock.now += 20
    asyncio.run(box.folder.sweep(BOUNDS))
    assert box.files == ["acme/things/young.json"]


def test_beyond_the_count_the_oldest_go(box: Box) -> None:
    for number in range(12):
        box.put(f"n{number}")
    assert len(box.files) <= 10
    assert box.get("n11") is not None
    assert box.get("n0") is None


def test_beyond_the_bytes_the_oldest_go(box: Box) -> None:
    bounds = Bounds(keep_s=100, count=100, size_bytes=2500, object_bytes=1000)
    for number in range(4):
        box.put(f"n{number}", b"x" * 1000, bounds=bounds)
    assert box.get("n0") is None
    assert box.get("n3") == b"x" * 1000
    assert sum((box.root / file).stat().st_size for file in box.files) <= 2500


def test_what_has_just_been_put_stays_however_small_the_bounds(box: Box) -> None:
    tiny = Bounds(keep_s=100, count=1, size_bytes=1, object_bytes=1000)
    for name in ("a", "b"):
        box.put(name, b"xxx", bounds=tiny)
        assert box.get(name) == b"xxx"
    assert box.get("a") is None


def test_a_tenant_over_its_bounds_costs_others_nothing(box: Box) -> None:
    box.put("mine", tenant="small")
    for number in range(30):
        box.put(f"n{number}", tenant="big")
    assert box.get("mine", "small") == b"x"


def test_an_object_that_is_too_large_is_refused_with_the_limit(box: Box) -> None:
    with pytest.raises(TooLarge, match="1000"):
        box.put("a", b"x" * 1001)
    assert box.files == []


def test_bounds_hold_for_what_another_process_left(box: Box) -> None:
    for number in range(10):
        box.put(f"n{number}")
    again = Box(box.root)
    again.clock.now = box.clock.now
    again.put("one-more")
    assert len(again.files) <= 10


def test_a_kill_between_writing_and_renaming_leaves_nothing_half_done(box: Box) -> None:
    script = f"""
import asyncio, os, signal, pathlib
from santral.gateway.objects import Bounds, ObjectFolder
pathlib.Path.replace = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
folder = ObjectFolder(pathlib.Path({str(box.root)!r}), "things", lambda: 1e6)
bounds = Bounds(keep_s=100, count=10, size_bytes=10_000, object_bytes=1000)
asyncio.run(folder.put("acme", "a", b"half", bounds))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    assert box.get("a") is None
    (left,) = box.files
    assert left.endswith(".tmp")
    box.clock.now += ABANDONED_S + 2
    box.put("b")
    assert box.files == ["acme/things/b.json"], "what a dead process left is swept"


def test_a_disk_that_takes_nothing_is_an_error_and_leaves_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    box.put("first")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        box.put("second")
    assert box.files == ["acme/things/first.json"]


def test_ids_are_random_and_fit_into_a_path(box: Box) -> None:
    ids = {box.folder.new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(name) == 48 and set(name) <= set("0123456789abcdef") for name in ids)
