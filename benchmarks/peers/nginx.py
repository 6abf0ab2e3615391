"""nginx as a plain reverse proxy with kept-alive connections: the floor, it reads no JSON."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import ClassVar

from benchmarks.cpu import process_tree
from benchmarks.peers.peer import Place, Running, Target, free_port
from benchmarks.script import EVENTS

_CONFIG = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 100000000;
  client_max_body_size 8m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 2048; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
    }}
  }}
}}
"""


class Nginx:
    name: ClassVar[str] = "nginx"
    is_heavy: ClassVar[bool] = False

    def missing(self) -> str | None:
        return None if _program() else "nginx is not installed: apt-get install -y nginx-light"

    def install(self) -> None:
        """Leave it to the system's packages: see ``missing``."""

    def start(self, place: Place) -> Running:
        folder, port = place.folder / "nginx", free_port()
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(folder=folder, port=port, upstream=place.upstream.port))
        argv = [
            str(_program()),
            "-p",
            str(folder),
            "-c",
            str(config),
            "-e",
            str(folder / "error.log"),
        ]
        started = place.start("nginx", argv, port)

        def pids() -> list[int]:
            return process_tree(started.child.pid)

        target = Target(
            "nginx", port, "scripted", pids, pids, version=_version(), events=EVENTS,
            features="plain proxy: no keys, no JSON, no record",
        )  # fmt: skip
        return Running([target], started.child, started.began)


def _program() -> str | None:
    return shutil.which("nginx") or next(
        (p for p in ("/usr/sbin/nginx",) if Path(p).exists()), None
    )


def _version() -> str:
    told = subprocess.run(
        [str(_program()), "-v"], capture_output=True, text=True, check=False
    ).stderr
    return told.strip().rpartition("/")[2]
