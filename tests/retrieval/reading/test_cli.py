"""``santral collections chunk`` shows what a file becomes, and stores nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.retrieval.reading.paper import body, heading, paper, prose
from typer.testing import CliRunner

from santral.__main__ import full_app


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(full_app(), ["collections", "chunk", *arguments])
    return result.exit_code, result.output + (str(result.exception) if result.exception else "")


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "report.pdf"
    path.write_bytes(paper(heading("Costs"), body(prose("A", 90)), title="Report", head="Head"))
    return path


def test_chunks_are_shown_with_lengths_sections_and_pages(report: Path) -> None:
    status, said = run(str(report), "--preview", "--child-tokens", "400")
    assert status == 0
    assert "Report (pdf, language en" in said
    assert "#0, " in said
    assert "tokens, parent 0, characters 0-" in said
    assert "pages 1-2, Costs" in said
    assert list(report.parent.iterdir()) == [report]


def test_a_collection_of_the_configuration_says_how(report: Path) -> None:
    (report.parent / "santral.toml").write_text(
        '[collections.handbook]\nchunking = "whole"\n', encoding="utf-8"
    )
    assert "1 chunks" in run(str(report), "--collection", "handbook")[1]
    assert "1 chunks" not in run(str(report), "--collection", "handbook", "--chunking", "window")[1]
    status, said = run(str(report), "--collection", "handbok")
    assert status != 0
    assert "Did you mean 'handbook'" in said


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--chunking", "recursiv"), "chunking"),
        (("--child-tokens", "5"), "greater than or equal to 40"),
        (("--chunking", "window", "--overlap-tokens", "290"), "more than half of child_tokens"),
    ],
)
def test_a_setting_that_cannot_be_is_named(
    options: tuple[str, ...], reason: str, report: Path
) -> None:
    status, said = run(str(report), *options)
    assert status != 0
    assert reason in said


def test_a_file_that_cannot_be_read_says_why(report: Path) -> None:
    report.write_bytes(b"%PDF-1.4 broken")
    status, said = run(str(report))
    assert (status, "damaged" in said) == (1, True)
