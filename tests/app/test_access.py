"""The access file: whole or not at all, private, and followed when it changes."""

import random
from pathlib import Path
from typing import Any

import pytest

from santral.app.access import AccessReader, AccessRecord, write_access
from santral.config.limits import LimitsConfig
from santral.config.schema import Config
from santral.errors import StoreError, Unauthenticated
from santral.quota.claim import Used
from santral.quota.limits import Limits
from santral.quota.rule import Scope
from santral.tenants.key import new_key
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey

KEY = new_key(random.Random(1).randbytes)


def record(**changes: object) -> AccessRecord:
    key = VirtualKey(
        id=KeyId("k1"), tenant_id=TenantId("t1"), name="k", prefix=KEY.prefix, digest=KEY.digest,
        routes=frozenset({"a"}),
    )  # fmt: skip
    values: dict[str, Any] = {
        "revision": 1,
        "read_at": 1_763_800_000.0,
        "tenants": [Tenant(TenantId("t1"), "T")],
        "keys": [key],
        "rules": [*Limits(tokens_per_day=1000).rules("t1", Scope("tenant", "t1"))],
        "used": {"tokens_per_day/t1": Used(1_763_769_600, 70)},
        **changes,
    }
    return AccessRecord(**values)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run" / "access.msgpack"
    write_access(path, record())
    access = AccessReader(path).read()
    assert access is not None
    caller = access.ring.identify(KEY.plaintext, 0)
    assert (caller.tenant.id, caller.key.routes) == ("t1", frozenset({"a"}))
    book = access.limits(Config(limits=LimitsConfig(tokens_per_day=9)))
    (claim,) = book.of("t1", "k1")
    assert (claim.limit, claim.seed.amount) == (1000, 70)
    assert book.of("other", "k2")[0].limit == 9


def test_the_file_is_for_its_owner_alone_and_holds_no_key(tmp_path: Path) -> None:
    path = tmp_path / "access.msgpack"
    write_access(path, record())
    assert path.stat().st_mode & 0o077 == 0
    assert KEY.plaintext.encode() not in path.read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["access.msgpack"]


def test_an_unchanged_file_is_not_read_again_and_a_new_one_is(tmp_path: Path) -> None:
    path = tmp_path / "access.msgpack"
    reader = AccessReader(path)
    assert reader.read() is None, "it is not there yet"
    write_access(path, record())
    assert reader.read() is not None
    assert reader.read() is None
    write_access(path, record(revision=2, keys=[]))
    access = reader.read()
    assert access is not None
    with pytest.raises(Unauthenticated):
        access.ring.identify(KEY.plaintext, 0)


def test_a_file_that_is_gone_leaves_the_last_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "access.msgpack"
    reader = AccessReader(path)
    write_access(path, record())
    reader.read()
    path.unlink()
    assert reader.read() is None


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "access.msgpack"
    path.write_bytes(b"\xc1")
    with pytest.raises(StoreError, match="Restart santral"):
        AccessReader(path).read()
