"""Repositories of a real Git server: files as blobs, with dates, links and stamps of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.retrieval.sources.conftest import Around, inside, listing
from tests.retrieval.sources.repository import Repository, git, serving_git

from santral.config.sources import SourcesConfig
from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import Fetcher
from santral.retrieval.sources.git import GitSource
from santral.retrieval.sources.program import Program, ProgramFailed
from santral.retrieval.sources.reach import AddressRefused
from santral.retrieval.sources.settings import GitSettings
from santral.retrieval.sources.source import Covered

pytestmark = pytest.mark.anyio

MAY, JUNE, JULY = 1_777_600_000, 1_780_300_000, 1_782_900_000


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with serving_git(Repository(tmp_path)) as served:
        yield served


def told(repository: Repository, **more: object) -> GitSettings:
    return GitSettings.model_validate({"url": repository.url, **more})


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


async def test_files_come_with_the_date_and_the_commit_that_changed_them(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="# A", hr__pay_md="# Pay")
    second = repository.commit(JUNE, a_md="# A, changed")
    settings = told(repository, groups={"hr/": ["hr"]},
                    url_template="https://git.example/{branch}/{commit}/{path}")  # fmt: skip
    seen = await listing(GitSource(settings, around()))
    base = repository.url.removesuffix(".git")
    assert seen.contents == {f"{base}/a.md": b"# A, changed", f"{base}/hr/pay.md": b"# Pay"}
    first, pay = seen.items.values()
    assert (first.metadata.modified_at, pay.metadata.modified_at) == (at(JUNE), at(MAY))
    assert (first.metadata.allowed_groups, pay.metadata.allowed_groups) == ((), ("hr",))
    assert first.metadata.url == f"https://git.example/main/{second}/a.md"
    assert (first.source, first.name) == ("docs/a.md", "a.md")
    assert seen.covered == [Covered("source:src_1")]


async def test_a_fetch_later_brings_what_has_changed_alone(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="# A", b_md="# B")
    before = await listing(GitSource(told(repository, history=1), around()))
    repository.commit(JUNE, a_md=None, b_md="# B2", c_md="# C")
    after = await listing(GitSource(told(repository, history=1), around()))
    base = repository.url.removesuffix(".git")
    assert after.contents == {f"{base}/b.md": b"# B2", f"{base}/c.md": b"# C"}
    assert after.stamps[f"{base}/b.md"] != before.stamps[f"{base}/b.md"]
    repository.commit(JULY, c_md="# C2")
    last = await listing(GitSource(told(repository, history=1), around()))
    assert last.stamps[f"{base}/b.md"] == after.stamps[f"{base}/b.md"]
    assert last.items[f"{base}/b.md"].metadata == after.items[f"{base}/b.md"].metadata


async def test_history_that_was_rewritten_is_followed(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="# A")
    await listing(GitSource(told(repository), around()))
    git("-C", str(repository.work), "checkout", "--quiet", "--orphan", "other")
    repository.commit(JUNE, a_md="# Anew")
    seen = await listing(GitSource(told(repository), around()))
    assert list(seen.contents.values()) == [b"# Anew"]


async def test_a_folder_a_branch_and_a_token_are_asked_for(
    repository: Repository, around: Around, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", "t0ken")
    repository.commit(MAY, a_md="# A", docs__b_md="# B", docs2__c_md="# C")
    settings = told(repository, folder="docs", branch="main", token="env:GIT_TOKEN",
                    include=["b.md"])  # fmt: skip
    seen = await listing(GitSource(settings, around()))
    assert list(seen.contents.values()) == [b"# B"]
    assert set(repository.asked) == {"Basic eC1hY2Nlc3MtdG9rZW46dDBrZW4="}
    kept = "".join(
        path.read_text("latin-1") for path in around().folder.rglob("*") if path.is_file()
    )
    assert "t0ken" not in kept
    with pytest.raises(SourceUnreachable, match="nosuch"):
        await listing(GitSource(told(repository, branch="nosuch"), around()))


async def test_nothing_of_a_repository_is_run_or_followed(
    repository: Repository, around: Around, tmp_path: Path
) -> None:
    (repository.work / "passwd.md").symlink_to("/etc/passwd")
    canary = tmp_path / "ran"
    hook = repository.folder / "hooks" / "post-upload-pack"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
    (repository.work / ".gitmodules").write_text(
        '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% /tmp/ran\n'
    )
    repository.commit(MAY, a_md="# A")
    seen = await listing(GitSource(told(repository, include=["*.md"]), around()))
    assert [item.name for item in seen.items.values()] == ["a.md"]
    assert not canary.exists()
    assert not list(around().folder.rglob("hooks/*"))


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "file:///etc", "ssh://a.com/x", "git://a.com/x",
            "http://127.1:1/x", "http://user@127.0.0.1/x", "--upload-pack=id"],
)  # fmt: skip
async def test_other_protocols_and_odd_addresses_are_refused(url: str, around: Around) -> None:
    settings = GitSettings.model_validate({"url": url, "branch": "main"})
    with pytest.raises((AddressRefused, SourceUnreachable)):
        await listing(GitSource(settings, around()))


async def test_a_server_inside_is_asked_only_where_that_is_allowed(
    repository: Repository, around: Around
) -> None:
    fetcher = Fetcher(SourcesConfig())
    with pytest.raises(AddressRefused):
        await listing(GitSource(told(repository), around(fetcher=fetcher)))
    assert repository.asked == []


async def test_git_connects_to_the_address_that_was_judged(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="# A")

    async def lookup(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    fetcher = Fetcher(inside(), lookup=lookup)
    url = f"http://git.nowhere.example:{repository.port}/docs.git"
    settings = GitSettings.model_validate({"url": url})
    seen = await listing(GitSource(settings, around(fetcher=fetcher)))
    assert list(seen.contents.values()) == [b"# A"]


async def test_a_repository_of_this_machine_is_read_by_its_path(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="# A")
    settings = GitSettings.model_validate({"url": str(repository.folder)})
    seen = await listing(GitSource(settings, around()))
    assert list(seen.contents.values()) == [b"# A"]


async def test_a_long_file_is_refused_and_too_many_are_not_covered(
    repository: Repository, around: Around
) -> None:
    repository.commit(MAY, a_md="x" * 2000, b_md="# B")
    seen = await listing(GitSource(told(repository), around(max_bytes=1000)), fetch=False)
    with pytest.raises(UnreadableError, match="larger than 1000"):
        await next(iter(seen.items.values())).fetch()
    cut = await listing(GitSource(told(repository, max_items=1), around()))
    assert (len(cut.items), cut.covered) == (1, [])


async def run(*words: str, timeout_s: float = 10, max_bytes: int = 1000) -> bytes:
    env = {"PATH": os.environ["PATH"]}
    program = Program(words[0], 10_000)
    return await program.run(words[1:], env=env, timeout_s=timeout_s, max_bytes=max_bytes)


async def test_a_program_is_bounded(tmp_path: Path) -> None:
    assert await run("echo", "a b") == b"a b\n"
    with pytest.raises(ProgramFailed, match="took longer"):
        await run("sleep", "60", timeout_s=0.2)
    with pytest.raises(ProgramFailed, match="wrote more than 1000"):
        await run("yes")
    with pytest.raises(ProgramFailed, match="not installed"):
        await run("no-such-program")
    with pytest.raises(ProgramFailed, match="failed"):
        await run("dd", "if=/dev/zero", f"of={tmp_path / 'large'}", "bs=1000", "count=100")
    assert (tmp_path / "large").stat().st_size <= 10_240
