"""What Git says of the place a suite stands in: its commit, a merge base, another commit's files."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from santral.errors import BadRequest

#: How long one command of Git may take, in seconds. Chosen: a worktree of a large repository.
_TIMEOUT_S = 120.0
#: What marks a commit beside which files were changed: its runs are nobody's baseline.
DIRTY = "-dirty"


async def commit_of(folder: Path) -> str:
    """Return the commit of a folder, with ``-dirty`` where tracked files differ; empty without Git."""
    code, sha, _ = await _git(folder, "rev-parse", "HEAD")
    if code:
        return ""
    _, changes, _ = await _git(folder, "status", "--porcelain", "--untracked-files=no")
    return sha + (DIRTY if changes else "")


async def merge_base(folder: Path, ref: str) -> str:
    """Return the commit on which the work since ``ref`` began.

    Raises:
        BadRequest: there is no repository, or it knows no such commit; says how to get it.
    """
    if ref.startswith("-"):
        raise BadRequest(f"'{ref}' is no name of a commit.", param="baseline")
    code, sha, error = await _git(folder, "merge-base", "HEAD", ref)
    if code:
        reason = error.splitlines()[-1] if error else "they have no commit in common"
        raise BadRequest(
            f"'{ref}' is no run, no file of one and no commit that Git knows here: {reason}. In CI, "
            "fetch it first (actions/checkout with fetch-depth: 0).",
            code="baseline_not_found",
            param="baseline",
        )
    return sha


async def top_of(folder: Path) -> Path:
    """Return the top of the repository; raises BadRequest where there is none."""
    code, top, error = await _git(folder, "rev-parse", "--show-toplevel")
    if code:
        raise BadRequest(f"{folder} is in no Git repository: {error}", param="baseline")
    return Path(top)


@asynccontextmanager
async def worktree(repository: Path, sha: str) -> AsyncGenerator[Path]:
    """Hold the files of a commit in a folder of their own, which goes when the block ends.

    Raises:
        BadRequest: Git cannot make it.
    """
    with tempfile.TemporaryDirectory(prefix="santral-base-") as folder:
        place = Path(folder) / "tree"
        code, _, error = await _git(repository, "worktree", "add", "--detach", str(place), sha)
        try:
            if code:
                raise BadRequest(
                    f"The files of {sha[:12]} cannot be read: {error}", param="baseline"
                )
            yield place
        finally:
            await asyncio.shield(_git(repository, "worktree", "remove", "--force", str(place)))
            await asyncio.shield(_git(repository, "worktree", "prune"))


async def _git(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run Git; return its status, what it said, and what it complained of."""
    try:
        process = await asyncio.create_subprocess_exec(
            "git",
            "-C",
            str(folder),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        return 127, "", f"git cannot be run ({error.strerror or error})"
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError:
        return 124, "", f"git {arguments[0]} took longer than {_TIMEOUT_S:g} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode().strip(), err.decode().strip()
