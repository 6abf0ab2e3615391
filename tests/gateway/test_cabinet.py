"""Files and batches on disk: whole after a crash, apart by tenant, gone when their time is over."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import NotFound, StoreError
from santral.gateway.batches.batch import Batch, Line, Result, StoredFile, read_lines
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.batches.inner import InnerAnswer
from santral.gateway.batches.progress import result_of


def file(number: int, at: int = 100) -> StoredFile:
    return StoredFile(
        id=f"file-{number:032x}", filename="a", purpose="batch", bytes=3, created_at=at
    )


def batch(number: int = 1, **changes: object) -> Batch:
    values: dict[str, Any] = {
        "id": f"batch-{number:032x}",
        "tenant_id": "acme",
        "key_id": "k",
        "endpoint": "/v1/chat/completions",
        "input_file_id": file(1).id,
        "completion_window": "24h",
        "created_at": 100,
        "expires_at": 200,
    }
    return Batch(**{**values, **changes})


def result(name: str, status: int = 200) -> Result:
    response = {"status_code": status, "request_id": name, "body": {}}
    return Result(id=name, custom_id=name, response=response)


@given(cut=st.integers(0, 200))
def test_results_cut_by_a_crash_keep_every_whole_line_and_can_go_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    cabinet, one = Cabinet(tmp_path_factory.mktemp("c")), batch()
    cabinet.add_results(one, [result("a"), result("b")])
    path = cabinet.root / "acme" / "batches" / f"{one.id}.results"
    data = path.read_bytes()
    path.write_bytes(data[: max(0, len(data) - cut)])
    left = [r.custom_id for r in cabinet.results(one)]
    assert left == ["a", "b"][: len(left)]
    assert len(left) == data[: max(0, len(data) - cut)].count(b"\n")
    cabinet.add_results(one, [result("c")])
    assert [r.custom_id for r in cabinet.results(one)] == [*left, "c"]


def test_a_batch_written_twice_at_once_is_whole_and_no_write_fails(tmp_path: Path) -> None:
    cabinet, one = Cabinet(tmp_path), batch()
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(cabinet.put_batch, [one] * 40))
    assert cabinet.batch("acme", one.id) == one
    assert [path.name for path in (tmp_path / "acme" / "batches").iterdir()] == [f"{one.id}.json"]


def test_an_answer_of_many_lines_is_one_line_of_a_file(tmp_path: Path) -> None:
    cabinet, one = Cabinet(tmp_path), batch()
    asked = Line(custom_id="a", url=one.endpoint, body=msgspec.Raw(b"{}"))
    answer = InnerAnswer(200, {}, b'{\n  "price": 1.10,\r\n  "id": "x"\n}\n')
    cabinet.add_results(one, [result_of(one, asked, answer)])
    path = cabinet.root / "acme" / "batches" / f"{one.id}.results"
    assert path.read_bytes().count(b"\n") == 1
    assert b'{"price":1.10,"id":"x"}' in path.read_bytes(), "nothing else changes"
    assert [r.custom_id for r in cabinet.results(one)] == ["a"]


def test_a_garbled_result_is_asked_for_again_and_stops_nothing(tmp_path: Path) -> None:
    cabinet, one = Cabinet(tmp_path), batch()
    cabinet.add_results(one, [result("a")])
    path = cabinet.root / "acme" / "batches" / f"{one.id}.results"
    path.write_bytes(path.read_bytes() + b'{"id": "b", \n\xff\xfe\n\n')
    cabinet.add_results(one, [result("c")])
    assert [r.custom_id for r in cabinet.results(one)] == ["a", "c"]


def test_a_request_answered_twice_counts_once(tmp_path: Path) -> None:
    cabinet, one = Cabinet(tmp_path), batch()
    cabinet.add_results(one, [result("a", 500), result("b"), result("a")])
    found = {r.custom_id: r.is_success for r in cabinet.results(one)}
    assert found == {"a": False, "b": True}, "the first answer stands: it was told already"


def test_what_is_asked_for_by_a_name_that_is_no_id_is_not_found(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path)
    cabinet.put_file("acme", file(1), b"abc")
    for tenant, name in (
        ("other", file(1).id),
        ("acme", "../acme/files/" + file(1).id),
        ("acme", "file-" + "z" * 32),
        ("../acme", file(1).id),
        ("acme", file(1).id + "\n"),
    ):
        with pytest.raises(NotFound):
            cabinet.content(tenant, name)
    assert cabinet.content("acme", file(1).id) == b"abc"


def test_a_tenant_whose_name_is_a_path_gets_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Cabinet(tmp_path).put_file("../acme", file(1), b"abc")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_half_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cabinet = Cabinet(tmp_path)

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        cabinet.put_file("acme", file(1), b"abc")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert cabinet.files("acme") == []


def test_what_is_over_its_time_goes_and_what_a_batch_needs_stays(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path)
    for number, at in ((1, 10), (2, 10), (3, 90)):
        cabinet.put_file("acme", file(number, at), b"abc")
    cabinet.put_batch(batch(1, status="in_progress", created_at=10))
    cabinet.put_batch(batch(2, status="completed", created_at=10))
    cabinet.add_results(batch(2), [result("a")])
    assert cabinet.sweep(before=50) == 2
    assert {f.id for f in cabinet.files("acme")} == {file(1).id, file(3).id}
    assert [b.id for b in cabinet.batches("acme")] == [batch(1).id]
    assert not list((tmp_path / "acme" / "batches").glob(f"{batch(2).id}*"))


def test_open_batches_of_every_tenant_are_found_the_oldest_first(tmp_path: Path) -> None:
    cabinet = Cabinet(tmp_path)
    cabinet.put_batch(batch(1, created_at=30))
    cabinet.put_batch(batch(2, tenant_id="other", created_at=20))
    cabinet.put_batch(batch(3, status="completed", created_at=10))
    assert [b.id for b in cabinet.open_batches()] == [batch(2).id, batch(1).id]


def test_too_many_requests_are_refused() -> None:
    line = b'{"custom_id":"%d","url":"/v1/embeddings","method":"POST","body":{}}'
    data = b"\n".join(line % number for number in range(4))
    lines, errors = read_lines(data, "/v1/embeddings", 3)
    assert len(lines) == 4
    assert [error.code for error in errors] == ["too_many_requests"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"{", "invalid_json_line"),
        (b"[]", "invalid_json_line"),
        (b'{"custom_id": 1}', "invalid_json_line"),
        (b'\xff{"custom_id"', "invalid_json_line"),
        (b'{"custom_id":"","url":"/u","body":{}}', "invalid_custom_id"),
        (b'{"custom_id":"a","url":"/u","body":[]}', "invalid_json_line"),
        (b'{"custom_id":"a","url":"/u","method":"GET","body":{}}', "invalid_method"),
    ],
)
def test_a_line_that_is_no_request_is_named(line: bytes, code: str) -> None:
    good = b'{"custom_id":"g","url":"/u","body":{}}\n\n'
    _, errors = read_lines(good + line, "/u", 10)
    assert [(error.code, error.line) for error in errors] == [(code, 3)]
