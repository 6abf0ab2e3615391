"""Branches of Git repositories, fetched with the git program into a folder of the source.

Nothing of a repository is ever run or checked out: files are read as blobs. The program is given the
address that was judged, no configuration of this machine, and protocols that reach nothing else.
"""

from __future__ import annotations

import os
import re
import stat
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from msgspec import Struct
from yarl import URL

from santral.errors import SourceUnreachable
from santral.retrieval.document import UnreadableError
from santral.retrieval.sources.fetch import too_large
from santral.retrieval.sources.known import is_taken, metadata_of
from santral.retrieval.sources.program import Program, ProgramFailed
from santral.retrieval.sources.settings import GitSettings
from santral.retrieval.sources.source import Covered, Item, Listed, Problem
from santral.retrieval.sources.surroundings import Surroundings

#: Where the branch that was fetched last is kept.
_HEAD = "refs/santral/head"
#: Pages of files at hosts whose name holds this. Source: their web pages.
_PAGES = {
    "gitlab": "{base}/-/blob/{branch}/{path}",
    "bitbucket": "{base}/src/{branch}/{path}",
    "gitea": "{base}/src/branch/{branch}/{path}",
    "codeberg": "{base}/src/branch/{branch}/{path}",
    "": "{base}/blob/{branch}/{path}",
}
#: The first that connects where it is told. Source: release notes of git 2.37, http.curloptResolve.
_LEAST_VERSION = (2, 37)
#: Packs of a repository after which they become one, and length of a short answer. Chosen.
_MOST_PACKS, _CHATTER = 50, 64 * 1024
#: Longest answer of git that is kept whole: a listing of a million files. Chosen.
_MAX_LISTING = 512 * 1024 * 1024


class _Blob(Struct, frozen=True):
    """A file of a commit."""

    path: str
    id: str
    size: int


class _Change(Struct, frozen=True):
    """The commit that last changed a file, and when."""

    commit: str
    at: datetime


class GitSource:
    """The files of a branch."""

    def __init__(self, settings: GitSettings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around
        self._repository = around.folder / "repository.git"
        self._is_local = "://" not in settings.url
        self._env = _environment(settings, around.folder, is_local=self._is_local)
        self._program = Program("git", around.config.max_repository_bytes)

    async def list_items(self) -> AsyncIterator[Listed]:
        """Yield the files by path; see ``Source``."""
        branch = await self._fetch()
        changes = await self._changes()
        count = 0
        for blob in await self._blobs():
            path = blob.path
            if self._settings.folder:
                path = path.removeprefix(self._settings.folder.strip("/") + "/")
            if not is_taken(self._settings, path):
                continue
            count += 1
            if count > self._settings.max_items:
                most = self._settings.max_items
                yield Problem(self._settings.url, f"it holds more than {most} files (max_items)")
                return
            yield self._item(blob, path, branch, changes.get(blob.path))
        yield Covered(self._around.root)

    def _item(self, blob: _Blob, path: str, branch: str, change: _Change | None) -> Item:
        location = f"{_plain(self._settings.url)}/{blob.path}"
        return Item(
            location=location,
            root=self._around.root,
            source=f"{PurePosixPath(_plain(self._settings.url)).name}/{blob.path}",
            name=PurePosixPath(blob.path).name,
            fetch=partial(self._read, blob),
            stamp=blob.id,
            metadata=metadata_of(
                self._settings,
                path,
                url=self._link(blob.path, branch, change),
                modified_at=change.at if change else None,
            ),
        )

    def _link(self, path: str, branch: str, change: _Change | None) -> str:
        base = _plain(self._settings.url)
        template = self._settings.url_template
        if not template:
            if self._is_local:
                return ""
            host = URL(base).host or ""
            template = next(page for name, page in _PAGES.items() if name in host)
        return (
            template.replace("{base}", base)
            .replace("{branch}", quote(branch))
            .replace("{commit}", change.commit if change else quote(branch))
            .replace("{path}", quote(path))
        )

    async def _fetch(self) -> str:
        """Bring the branch here; return its name.

        Raises:
            SourceUnreachable: the repository, or the program, cannot be had.
        """
        await self._require_version()
        pinned = await self._pinned()
        if not self._repository.is_dir():
            self._repository.parent.mkdir(parents=True, exist_ok=True)
            await self._git("init", "--quiet", "--bare", "--template=", str(self._repository))
        branch = self._settings.branch or await self._default_branch(pinned)
        is_known = await self._knows_head()
        depth = [] if is_known else [f"--depth={self._settings.history}"]
        await self._git(
            *pinned, "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-gc",
            "--no-write-fetch-head", "--force", *depth, "--", self._settings.url,
            f"refs/heads/{branch}:{_HEAD}", timeout_s=self._around.config.clone_s,
        )  # fmt: skip
        if len(list((self._repository / "objects" / "pack").glob("*.pack"))) > _MOST_PACKS:
            await self._git("gc", "--quiet", "--prune=now", timeout_s=self._around.config.clone_s)
        return branch

    async def _require_version(self) -> None:
        """Refuse a program that would look names up anew; raises SourceUnreachable."""
        said = await self._program.run(
            ["version"], env=self._env, timeout_s=self._around.config.fetch_s, max_bytes=_CHATTER
        )
        found = re.search(rb"(\d+)\.(\d+)", said)
        if found is None or (int(found[1]), int(found[2])) < _LEAST_VERSION:
            least = ".".join(map(str, _LEAST_VERSION))
            raise SourceUnreachable(f"git {least} or later is needed. Update it.")

    async def _default_branch(self, pinned: list[str]) -> str:
        said = await self._git(
            *pinned, "ls-remote", "--symref", "--", self._settings.url, "HEAD",
            timeout_s=self._around.config.timeout_s * 3,
        )  # fmt: skip
        for line in said.decode("utf-8", "replace").splitlines():
            if line.startswith("ref: refs/heads/"):
                return line.removeprefix("ref: refs/heads/").partition("\t")[0]
        raise SourceUnreachable(f"{self._settings.url} names no branch: set one.")

    async def _knows_head(self) -> bool:
        try:
            await self._git("rev-parse", "--verify", "--quiet", _HEAD)
        except SourceUnreachable:
            return False
        return True

    async def _pinned(self) -> list[str]:
        """Return the options by which git connects to the address that was judged, and to no other."""
        if self._is_local:
            return []
        url = self._around.fetcher.reach.checked(self._settings.url)
        host, port = url.host or "", url.port or 443
        addresses = await self._around.fetcher.reach.addresses(host, port)
        written = ",".join(f"[{a}]" if a.version == 6 else str(a) for a in addresses)
        return ["-c", f"http.curloptResolve={host}:{port}:{written}"]

    async def _blobs(self) -> list[_Blob]:
        folder = self._settings.folder.strip("/")
        only = ["--", folder] if folder else []
        said = await self._git("ls-tree", "-r", "-z", "--long", "--full-tree", _HEAD, *only)
        found: list[_Blob] = []
        for line in said.split(b"\0"):
            about, tab, name = line.partition(b"\t")
            if not tab:
                continue
            mode, kind, id, size = about.split()
            if kind == b"blob" and stat.S_ISREG(int(mode, 8)):  # no links, no other repositories
                found.append(_Blob(_text(name), id.decode(), int(size)))
        return found

    async def _changes(self) -> dict[str, _Change]:
        """Return the last change of each file, as far back as commits were fetched."""
        said = await self._git(
            "log", "--format=%x01%H %ct", "--name-only", "--no-renames", "-z", "--first-parent",
            "-m", _HEAD,
        )  # fmt: skip
        found: dict[str, _Change] = {}
        change: _Change | None = None
        for part in said.split(b"\0"):
            name = part.removeprefix(b"\n")
            if name.startswith(b"\x01"):
                commit, _, seconds = name[1:].partition(b" ")
                change = _Change(commit.decode(), datetime.fromtimestamp(int(seconds), UTC))
            elif name and change is not None:
                found.setdefault(_text(name), change)
        return found

    async def _read(self, blob: _Blob) -> bytes:
        """Return the content of a file."""
        if blob.size > self._around.max_bytes:
            raise too_large("it", self._around.max_bytes)
        try:
            return await self._git("cat-file", "blob", blob.id)
        except ProgramFailed as error:
            raise UnreadableError(f"git cannot read it: {error.message}") from None

    async def _git(self, *words: str, timeout_s: float | None = None) -> bytes:
        at = ["--git-dir", str(self._repository)] if "init" not in words else []
        return await self._program.run(
            [*at, *words],
            env=self._env,
            timeout_s=timeout_s or self._around.config.fetch_s,
            max_bytes=_MAX_LISTING,
        )


def _environment(settings: GitSettings, folder: Path, *, is_local: bool) -> Mapping[str, str]:
    """Return all that the program sees of this machine; credentials never stand in its arguments."""
    options = {
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "credential.helper": "",
        "gc.auto": "0",
        "http.followRedirects": "false",
        "http.proxy": "",
        "http.lowSpeedLimit": "1",
        "http.lowSpeedTime": "60",
        "safe.directory": "*",
        "submodule.recurse": "false",
    }
    if settings.token is not None:
        pair = f"{settings.user}:{settings.token.reveal()}"
        options["http.extraHeader"] = f"Authorization: Basic {b64encode(pair.encode()).decode()}"
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
        "GIT_ALLOW_PROTOCOL": "file" if is_local else "https:http",
        "GIT_ASKPASS": "true",
        "GIT_CONFIG_COUNT": str(len(options)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for number, (name, value) in enumerate(options.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env


def _plain(url: str) -> str:
    return url.rstrip("/").removesuffix(".git")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
