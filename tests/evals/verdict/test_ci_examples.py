"""Examples of CI: what they call exists, and the comment is one comment on both hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import typer
import yaml

from santral.__main__ import full_app
from santral.evals.verdict.report.render import FILE_NAMES

CI = Path(__file__).parents[3] / "examples" / "ci"
MARKER = "<!-- santral-eval:support -->"
BODY = f"{MARKER}\n\n## Passed\n"


class Host(BaseHTTPRequestHandler):
    """What both hosts do with comments: list by pages, make, change; 403 to whoever may only read."""

    comments: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []
    may_write: ClassVar[bool] = True

    def do_GET(self) -> None:
        self.asked.append(f"GET {self.path}")
        url = urlsplit(self.path)
        if url.path == "/user":
            self.answer(200, {"username": "project_7_bot"})
            return
        query = parse_qs(url.query)
        size, page = int(query["per_page"][0]), int(query["page"][0])
        self.answer(200, self.comments[(page - 1) * size : page * size])

    def do_POST(self) -> None:
        self.write(
            lambda body: self.comments.append({"id": 900, **self.author(), **body}) or {"id": 900}
        )

    def do_PATCH(self) -> None:
        self.write(self.change)

    def do_PUT(self) -> None:
        self.write(self.change)

    def change(self, body: dict[str, Any]) -> dict[str, Any]:
        number = int(self.path.rsplit("/", 1)[1])
        (found,) = [comment for comment in self.comments if comment["id"] == number]
        found.update(body)
        return found

    def write(self, act: Any) -> None:
        self.asked.append(f"{self.command} {self.path}")
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.may_write:
            self.answer(201, act(body))
        else:
            self.answer(403, {"message": "Resource not accessible by integration"})

    def author(self) -> dict[str, Any]:
        if "/issues/" in self.path:
            assert self.headers["authorization"] == "Bearer secret"
            return {"user": {"login": "github-actions[bot]"}}
        assert self.headers["private-token"] == "secret"
        return {"author": {"username": "project_7_bot"}}

    def answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def host() -> Iterator[str]:
    Host.comments, Host.asked, Host.may_write = [], [], True
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def post(
    folder: Path, host: str, kind: str, body: str = BODY, **environment: str
) -> subprocess.CompletedProcess[str]:
    (folder / "report.md").write_text(body)
    (folder / "event.json").write_text('{"pull_request": {"number": 12}}')
    known = {
        "github": {
            "GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_API_URL": host, "GITHUB_REPOSITORY": "team/app", "GITHUB_TOKEN": "secret",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        },
        "gitlab": {
            "CI_API_V4_URL": host, "CI_MERGE_REQUEST_IID": "12", "CI_MERGE_REQUEST_PROJECT_ID": "7",
            "SANTRAL_GITLAB_TOKEN": "secret",
        },
    }[kind]  # fmt: skip
    return subprocess.run(
        [sys.executable, str(CI / "comment.py"), str(folder / "report.md")],
        env={"PATH": os.environ["PATH"], "no_proxy": "*", **known, **environment},
        capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def by(kind: str, name: str = "") -> dict[str, Any]:
    if kind == "github":
        return {"user": {"login": name or "github-actions[bot]"}}
    return {"author": {"username": name or "project_7_bot"}}


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_second_comment_is_the_first_one_changed(kind: str, tmp_path: Path, host: str) -> None:
    Host.comments = [{"id": n, "body": "Looks good", **by(kind, "somebody")} for n in range(150)]
    first = post(tmp_path, host, kind)
    assert (first.returncode, first.stdout) == (0, "Wrote comment 900.\n"), first.stderr
    second = post(tmp_path, host, kind, body=f"{MARKER}\n\n## Regression\n")
    assert (second.returncode, second.stdout) == (0, "Changed comment 900.\n"), second.stderr
    assert len(Host.comments) == 151
    assert Host.comments[-1]["body"] == f"{MARKER}\n\n## Regression\n"
    change = {"github": "PATCH /repos/team/app/issues/comments/900",
              "gitlab": "PUT /projects/7/merge_requests/12/notes/900"}[kind]  # fmt: skip
    assert Host.asked[-1] == change


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_comments_of_others_and_of_other_suites_stay(kind: str, tmp_path: Path, host: str) -> None:
    Host.comments = [
        {"id": 1, "body": BODY, **by(kind, "somebody")},
        {"id": 2, "body": f"I quote:\n{BODY}", **by(kind)},
        {"id": 3, "body": "<!-- santral-eval:other -->\n", **by(kind)},
    ]
    before = json.dumps(Host.comments)
    assert post(tmp_path, host, kind).stdout == "Wrote comment 900.\n"
    assert json.dumps(Host.comments[:3]) == before


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_fork_gets_its_report_in_the_summary(kind: str, tmp_path: Path, host: str) -> None:
    Host.may_write = False
    done = post(tmp_path, host, kind)
    assert done.returncode == 0
    assert "is refused (403): the report is in the job's summary" in done.stdout
    assert Host.comments == []
    if kind == "github":
        assert (tmp_path / "summary.md").read_text() == BODY


def test_without_a_token_or_a_request_nothing_is_asked(tmp_path: Path, host: str) -> None:
    assert (
        "SANTRAL_GITLAB_TOKEN is not set"
        in post(tmp_path, host, "gitlab", SANTRAL_GITLAB_TOKEN="").stdout
    )
    assert (
        "No pull or merge request" in post(tmp_path, host, "gitlab", CI_MERGE_REQUEST_IID="").stdout
    )
    assert Host.asked == []


def test_a_host_that_is_gone_and_a_report_that_is_missing_are_errors(tmp_path: Path) -> None:
    gone = post(tmp_path, "http://127.0.0.1:9", "github")
    assert gone.returncode == 1
    assert "the comment could not be written" in gone.stderr
    missing = subprocess.run(
        [sys.executable, str(CI / "comment.py"), str(tmp_path / "no.md")], capture_output=True, text=True
    )  # fmt: skip
    assert missing.returncode == 1
    assert "did `santral eval run` end before it wrote?" in missing.stderr


def scripts(name: str) -> list[str]:
    read = yaml.safe_load((CI / name).read_text())
    if "jobs" in read:
        return [
            step["run"] for job in read["jobs"].values() for step in job["steps"] if "run" in step
        ]
    return [line for part in ("script", "after_script") for line in read["santral-eval"][part]]


@pytest.mark.parametrize("name", ["github-santral-eval.yml", "gitlab-santral-eval.yml"])
def test_what_the_examples_run_exists(name: str) -> None:
    told = "\n".join(scripts(name))
    assert subprocess.run(["bash", "-n"], input=told, text=True).returncode == 0
    command = typer.main.get_command(full_app())
    (called,) = re.findall(r"santral eval run [^|]*", told.replace("\\\n", " "))
    run = command.commands["eval"].commands["run"]  # pyright: ignore[reportAttributeAccessIssue]
    known = {option for parameter in run.params for option in parameter.opts}
    used = set(re.findall(r"--[a-z-]+", called))
    assert {"--baseline", "--fail-on-regression", "--report", "--out"} <= used <= known
    (formats,) = re.findall(r"--report (\S+)", called)
    assert set(formats.split(",")) == set(FILE_NAMES)
    assert f"santral-evals/{FILE_NAMES['md']}" in told


def test_the_workflow_may_read_and_comment_and_nothing_else() -> None:
    read = yaml.safe_load((CI / "github-santral-eval.yml").read_text())
    assert read["permissions"] == {"contents": "read", "pull-requests": "write"}
    triggers = read[True]  # `on` is a yes in YAML 1.1
    assert list(triggers) == [
        "pull_request"
    ]  # never pull_request_target: it runs a fork's code with secrets
    (job,) = read["jobs"].values()
    assert job["timeout-minutes"] <= 60
    assert all(
        re.fullmatch(r"actions/[a-z-]+@v\d+", s["uses"]) for s in job["steps"] if "uses" in s
    )
    for step in job["steps"]:
        assert "${{" not in step.get("run", "")  # words of a request never become shell


@pytest.mark.parametrize(("status", "expected"), [("0", 0), ("1", 1), ("2", 2), ("3", 0), ("", 2)])
def test_the_verdict_becomes_the_jobs(status: str, expected: int) -> None:
    read = yaml.safe_load((CI / "github-santral-eval.yml").read_text())
    (verdict,) = [s["run"] for s in read["jobs"]["gate"]["steps"] if s.get("name") == "Verdict"]
    done = subprocess.run(
        ["bash", "-e", "-c", verdict],
        env={"STATUS": status, "PATH": os.environ["PATH"]},
        capture_output=True,
    )
    assert done.returncode == expected


def test_gitlab_takes_too_little_data_for_a_warning_and_keeps_the_tests() -> None:
    job = yaml.safe_load((CI / "gitlab-santral-eval.yml").read_text())["santral-eval"]
    assert job["allow_failure"] == {"exit_codes": [3]}
    assert job["artifacts"]["reports"]["junit"] == f"santral-evals/{FILE_NAMES['junit']}"
