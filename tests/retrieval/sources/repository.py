"""A real Git server of this machine: git's own, behind HTTP."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Repository:
    """A repository that people push to; ``url`` is where it is fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "docs.git"
        self.asked: list[str | None] = []
        self.port = 0
        self.work = folder / "work"
        git("init", "--quiet", "--bare", "-b", "main", str(self.folder))
        git("init", "--quiet", "-b", "main", str(self.work))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/docs.git"

    def commit(self, at: int, **files: str | None) -> str:
        """Commit files (None: gone) with a date and push them; return the commit."""
        for name, content in files.items():
            path = self.work / name.replace("__", "/").replace("_md", ".md")
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        at_work = ("-C", str(self.work))
        git(*at_work, "add", "-A")
        git(*at_work, "commit", "--quiet", "--allow-empty", "-m", "change", date=f"{at} +0000")
        git(*at_work, "push", "--quiet", "--force", str(self.folder), "HEAD:main")
        return git(*at_work, "rev-parse", "HEAD").strip()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer as a web server does that runs ``git http-backend``."""
        self.asked.append(handler.headers.get("Authorization"))
        path, _, query = handler.path.partition("?")
        length = int(handler.headers.get("Content-Length") or 0)
        env = os.environ | {
            "GIT_PROJECT_ROOT": str(self.folder.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": handler.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": handler.command,
            "CONTENT_TYPE": handler.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": handler.headers.get("Content-Encoding", ""),
        }
        done = subprocess.run(
            ["git", "http-backend"], input=handler.rfile.read(length), env=env, capture_output=True
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ") for line in head.decode().split("\r\n")]
        status = next((int(value[:3]) for name, _, value in lines if name == "Status"), 200)
        handler.send_response(status)
        for name, _, value in lines:
            if name != "Status":
                handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def git(*words: str, date: str = "") -> str:
    """Run git as somebody with a name."""
    env = os.environ | {
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.com", "GIT_CONFIG_GLOBAL": os.devnull,
    }  # fmt: skip
    if date:
        env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    return subprocess.run(
        ["git", *words], check=True, capture_output=True, text=True, env=env
    ).stdout


@contextmanager
def serving_git(repository: Repository) -> Iterator[Repository]:
    """Serve while the context lasts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            repository.answer(self)

        def do_POST(self) -> None:
            repository.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repository.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield repository
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
