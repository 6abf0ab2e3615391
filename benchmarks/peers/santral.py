"""Santral itself, two routes: `full` with every rule-based stage on, `passthrough` with none."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import ClassVar

from benchmarks.cpu import command_line, pin, prefer, process_tree
from benchmarks.peers.peer import Place, Running, Target, free_port
from benchmarks.scenarios import Feat
from benchmarks.tools import HERE
from santral.tenants.key import new_key

_CONFIG = HERE / "santral.toml"
#: Routes of that file, and what each does with a request.
_FEATURES = {
    "full": "key, limits, PII + secrets + injection rules in, prompt, exact cache (missed), PII out, trace",
    "passthrough": "key, route, trace",
}
#: Other loads each is put under, and the route that takes them.
_FEATS: dict[str, dict[Feat, str]] = {
    "full": {"messages-to-chat": "full", "cached": "full"},
    "passthrough": {"messages-to-chat": "passthrough", "chat-to-messages": "to-messages"},
}


class Santral:
    name: ClassVar[str] = "santral"
    is_heavy: ClassVar[bool] = False

    def missing(self) -> str | None:
        if not _program().exists():
            return "santral is not installed beside this Python: make install"
        return None if _CONFIG.exists() else f"{_CONFIG} is not there"

    def install(self) -> None:
        """Leave it to the Makefile: see ``missing``."""

    def start(self, place: Place) -> Running:
        port, folder = free_port(), place.folder / "santral"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        argv = [str(_program()), "serve", "--config", str(_CONFIG)]
        key = new_key(secrets.token_bytes).plaintext
        env = _settings(port, folder, place.upstream.base_url) | {"SANTRAL_BOOTSTRAP_KEY": key}
        # The worker alone is pinned: control process and supervisor run where there is room.
        started = place.start("santral", argv, port, env=env, cwd=folder, pinned=False)

        def tree() -> list[int]:
            return process_tree(started.child.pid)

        def workers() -> list[int]:
            return [pid for pid in tree() if "--role gateway" in command_line(pid)] or tree()

        if place.core is not None:
            pin(workers(), place.core)
        if place.children.niceness:
            prefer(tree(), place.children.niceness)
        targets = [
            Target(
                f"santral {route}", port, route, workers, tree, version=_version(), features=features,
                headers=[f"authorization: Bearer {key}"], feats=_FEATS[route],
            )
            for route, features in _FEATURES.items()
        ]  # fmt: skip
        return Running(targets, started.child, started.began)


def _program() -> Path:
    return Path(sys.executable).parent / "santral"


def _settings(port: int, folder: Path, base_url: str) -> dict[str, str]:
    providers = tomllib.loads(_CONFIG.read_text()).get("providers", {})
    addresses = {
        f"SANTRAL_PROVIDERS__{name.upper()}__BASE_URL": base_url
        for name, provider in providers.items()
        if provider.get("kind", "openai") != "local"
    }
    return addresses | {
        "BENCH_PROVIDER_KEY": "none",
        "SANTRAL_SERVER__PORT": str(port),
        "SANTRAL_CONTROL__PORT": str(free_port()),
        "SANTRAL_DATA__FOLDER": str(folder / "data"),
    }


def _version() -> str:
    code = "import importlib.metadata as m; print(m.version('santral'))"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()
