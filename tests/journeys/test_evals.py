"""A change of a prompt goes through the gate, from the command line, with no server running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.upstream import Upstream, answer_to

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"

PRICES = """\
version = "2026-11-01"
currency = "USD"

[[price]]
kind = "openai-compatible"
model = "*"
from = 2020-01-01
input = "1.00"
output = "2.00"
"""

CONFIG = """
[prices]
file = "prices.toml"

[providers.scripted]
kind = "openai-compatible"
base_url = "{url}"

[deployments.obedient]
provider = "scripted"
model = "obedient"

[deployments.obedient-slow]
provider = "scripted"
model = "obedient:200"

[routes.support]
ladder = [{{ deployments = {{ obedient = 1 }} }}]
prompt = "support@production"

[routes.slow]
ladder = [{{ deployments = {{ obedient-slow = 1 }} }}]
prompt = "support@production"
"""

GOOD = '+++\ndescription = "Supports."\n+++\n\n## system\n\nAlways {manner}repeat the question.\n'
BAD = '+++\ndescription = "Supports."\n+++\n\n## system\n\nAnswer as shortly as you can.\n'

SUITE = """\
dataset = "cases.jsonl"

[[targets]]
name = "support"
route = "{route}"

[[evaluators]]
use = "exact"
"""

CASES = [{"id": f"c{n:02}", "input": f"What is {n}?"} for n in range(20)]


class Project:
    """A copy of the quickstart in a repository of its own, and the provider that answers."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder, self.upstream = folder, upstream
        shutil.copytree(
            QUICKSTART, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("santral-data")
        )
        with (folder / "santral.toml").open("a") as file:
            file.write(CONFIG.format(url=upstream.base_url))
        (folder / "prices.toml").write_text(PRICES)
        (folder / ".gitignore").write_text("santral-data/\n")
        self.prompt("1.0.0", GOOD.format(manner=""))
        self.suite("suite", SUITE.format(route="support"))
        self.suite("slow", SUITE.format(route="slow") + "\n")
        rows = [{**case, "expected": answer_to(case["input"])} for case in CASES]
        (folder / "evals" / "cases.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        self.git("init", "-q", "-b", "main")
        self.commit("Begin")

    def prompt(self, version: str, text: str) -> None:
        place = self.folder / "prompts" / "support"
        place.mkdir(exist_ok=True)
        (place / f"{version}.md").write_text(text)
        (place / "labels.toml").write_text(f'production = "{version}"\n')

    def suite(self, name: str, text: str) -> None:
        (self.folder / "evals").mkdir(exist_ok=True)
        (self.folder / "evals" / f"{name}.toml").write_text(text)

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, timeout=30)

    def commit(self, subject: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", subject)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")}
        return subprocess.Popen(
            [sys.executable, "-m", "santral", "eval", *arguments],
            cwd=self.folder,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command; return its status and everything it said."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        return process.returncode, out + err


pytestmark = pytest.mark.journey


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Upstream() as upstream:
        yield Project(tmp_path / "project", upstream)


def test_a_worse_prompt_is_a_regression_and_a_better_one_passes(project: Project) -> None:
    gate = ("run", "evals/suite.toml", "--baseline", "main", "--fail-on-regression")
    project.git("checkout", "-q", "-b", "change")
    project.prompt("2.0.0", BAD)
    project.commit("Shorten the prompt")

    status, said = project.run(*gate, "--report", "md,json,junit,html")

    assert status == 1, said
    comment = (project.folder / "santral-evals" / "report.md").read_text()
    assert "regression" in comment.lower()
    assert "What is 3?" in comment
    found = json.loads((project.folder / "santral-evals" / "run.json").read_text())
    assert (found["head"]["prompt"], len(found["samples"])) == ("support@2.0.0", 20)
    assert len(project.upstream.seen) == 40  # the base was run from its own commit
    worktrees = subprocess.run(
        ["git", "worktree", "list"], cwd=project.folder, capture_output=True, text=True, check=True
    )
    assert len(worktrees.stdout.splitlines()) == 1

    project.prompt("2.1.0", GOOD.format(manner="kindly "))
    project.commit("Say it kindly")
    status, said = project.run(*gate)

    assert status == 0, said
    assert len(project.upstream.seen) == 60  # and once: its stored run is taken


def test_a_killed_run_goes_on_and_nothing_is_paid_twice(project: Project) -> None:
    process = project.start("run", "evals/slow.toml")
    deadline = time.monotonic() + 60
    while len(project.upstream.seen) < 12 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    asked = len(project.upstream.seen)
    assert 12 <= asked < 20

    status, said = project.run("run", "evals/slow.toml", "--resume", "last")

    assert status == 0, said
    assert "20 examples, 20 answers" in said
    # What was under way at the kill is asked again: at most as many as are asked at once.
    assert 20 <= len(project.upstream.seen) <= 20 + 8
    _, listed = project.run("list")
    assert listed.count("run_") == 1
    assert "done" in listed


def test_a_cost_cap_stops_a_run_and_ctrl_c_leaves_one_to_go_on_with(project: Project) -> None:
    text = SUITE.format(route="support").replace(
        'dataset = "cases.jsonl"', 'dataset = "cases.jsonl"\nmax_cost_usd = 0.0001'
    )
    project.suite("capped", text)
    status, said = project.run("run", "evals/capped.toml", "--no-cache")
    assert status == 3, said
    assert "Stopped early: cost cap" in said
    assert len(project.upstream.seen) < 20

    project.upstream.seen.clear()
    process = project.start("run", "evals/slow.toml")
    deadline = time.monotonic() + 60
    while len(project.upstream.seen) < 9 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume run_" in err
    resumed = err.split("--resume ")[1].split()[0]
    status, said = project.run("run", "evals/slow.toml", "--resume", resumed)
    assert status == 0, said


def test_recorded_answers_are_scored_with_nothing_beside_the_files(tmp_path: Path) -> None:
    rows = [{"id": str(n), "input": "q", "expected": "a", "answer": "ab"[n % 2]} for n in range(8)]
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "suite.toml").write_text(
        'dataset = "cases.jsonl"\n[[targets]]\nname = "recorded"\nrecorded = true\n'
        '[[evaluators]]\nuse = "exact"\n'
    )
    env = {k: v for k, v in os.environ.items() if not k.startswith("SANTRAL_")}

    done = subprocess.run(
        [sys.executable, "-m", "santral", "eval", "run", "suite.toml", "--no-store", "--json"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    (run,) = json.loads(done.stdout)["runs"]
    assert run["measures"][0]["value"] == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cases.jsonl",
        "santral-evals",
        "suite.toml",
    ]
