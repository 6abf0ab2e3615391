"""Portkey's open gateway on Node: it takes provider and address from headers, and keeps nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import ClassVar

from benchmarks.cpu import process_tree
from benchmarks.peers.peer import Place, Running, Target, free_port
from benchmarks.tools import BUILD

_FOLDER = BUILD / "portkey"
_PACKAGE = _FOLDER / "node_modules" / "@portkey-ai" / "gateway"

#: With newer ones of these two, 1.15.2 answers 500 to every stream ("immutable" headers).
_MANIFEST = {
    "name": "santral-benchmark-portkey",
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2"},
    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.8"},
}

#: It listens on every address and has no setting for it.
_LOOPBACK = """
const net = require('net');
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, { port: Number(port), host: '127.0.0.1' }, ...rest.filter((x) => typeof x === 'function'));
};
"""


class Portkey:
    name: ClassVar[str] = "portkey"
    is_heavy: ClassVar[bool] = True

    def missing(self) -> str | None:
        if not shutil.which("node"):
            return "Node is not installed: apt-get install -y nodejs npm"
        return (
            None
            if (_PACKAGE / "build" / "start-server.js").exists()
            else "not installed (run with --peers)"
        )

    def install(self) -> None:
        _FOLDER.mkdir(parents=True, exist_ok=True)
        (_FOLDER / "package.json").write_text(json.dumps(_MANIFEST))
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"], cwd=_FOLDER, check=True, timeout=900
        )

    def start(self, place: Place) -> Running:
        folder, port = place.folder / "portkey", free_port()
        folder.mkdir(parents=True, exist_ok=True)
        preload = folder / "loopback.cjs"
        preload.write_text(_LOOPBACK)
        argv = [
            str(shutil.which("node")), "--require", str(preload), str(_PACKAGE / "build" / "start-server.js"),
            "--headless", f"--port={port}",
        ]  # fmt: skip
        started = place.start("portkey", argv, port, env={"NODE_ENV": "production"}, cwd=folder)

        def pids() -> list[int]:
            return process_tree(started.child.pid)

        target = Target(
            "portkey", port, "scripted", pids, pids, version=_version(),
            features="provider and address from headers; no keys, no limits, no guardrails, no record",
            headers=[
                "authorization: Bearer none",
                "x-portkey-provider: openai",
                f"x-portkey-custom-host: {place.upstream.base_url}",
            ],
        )  # fmt: skip
        return Running([target], started.child, started.began)


def _version() -> str:
    return str(json.loads((_PACKAGE / "package.json").read_text())["version"])
