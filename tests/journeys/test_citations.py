"""From documents to cited answers, in two languages and for two groups, through real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import pytest
from tests.journeys.conftest import Santral, wait_until

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]

LIBRARY = """# House rules

## Opening hours

The reading room opens at nine in the morning on working days. It closes at eight in the evening.

## Fines

A book that is returned late costs 40 cents for each day.
"""
KUTUPHANE = """# Kütüphane kuralları

## Çalışma saatleri

Okuma salonu hafta içi sabah dokuzda açılır. Salon akşam sekizde kapanır.

## Gecikme cezası

Geç getirilen her kitap için günde 40 kuruş ceza ödenir.
"""
SALARIES = """# Salaries of the librarians

The head librarian earns 9100 lira a month. The salary is paid on the first working day.
"""
TOML = """
[server]
port = 0
[control]
port = 0
[telemetry]
collect_every_s = 0.1
[collections.library]
[routes.library]
ladder = [{ deployments = { extractive = 1 } }]
retrieval = { collection = "library", top_k = 3 }
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Santral]:
    folder = tmp_path_factory.mktemp("santral")
    pages = folder / "pages"
    (pages / "staff").mkdir(parents=True)
    (pages / "rules.md").write_text(LIBRARY)
    (pages / "kurallar.md").write_text(KUTUPHANE)
    (pages / "staff" / "salaries.md").write_text(SALARIES)
    (pages / "staff" / "_metadata.yaml").write_text("allowed_groups: [hr]\n")
    running = Santral(folder, TOML)
    run(running, "ingest", str(pages), "--collection", "library")
    wait_until(lambda: sources_of(ask(running, "When does the reading room open?")), 30)
    yield running
    running.stop()


def run(here: Santral, *line: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "santral", *line],
        env=here.env | {"SANTRAL_ADMIN_KEY": here.admin_key},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ask(here: Santral, question: str, key: str | None = None) -> Any:
    status, headers, body = here.post(here.chat("library", question), key=key)
    assert status == 200, body
    return json.loads(body) | {"trace": headers["x-santral-trace-id"]}


def sources_of(answer: Any) -> list[Any]:
    return answer.get("santral", {}).get("sources", [])


def text_at(path: Path, cited: Any) -> str:
    """Return the words of the file that a citation's quote stands for, found in its document."""
    return cited["quote"] if cited["quote"] in path.read_text() else ""


@pytest.mark.parametrize(
    ("question", "page", "section", "quote"),
    [
        (
            "When does the reading room open?", "rules.md", "Opening hours",
            "The reading room opens at nine in the morning on working days.",
        ),
        (
            "What does a book cost that is returned late?", "rules.md", "Fines",
            "A book that is returned late costs 40 cents for each day.",
        ),
        (
            "Okuma salonu kaçta açılır?", "kurallar.md", "Çalışma saatleri",
            "Okuma salonu hafta içi sabah dokuzda açılır.",
        ),
        (
            "Geç getirilen kitap için ne kadar ceza ödenir?", "kurallar.md", "Gecikme cezası",
            "Geç getirilen her kitap için günde 40 kuruş ceza ödenir.",
        ),
    ],
)  # fmt: skip
def test_answers_cite_document_section_and_place(
    here: Santral, question: str, page: str, section: str, quote: str
) -> None:
    answer = ask(here, question)
    message = answer["choices"][0]["message"]
    assert quote in message["content"]
    cited = message["annotations"][0]["santral"]
    assert cited["document"].endswith(page)
    assert cited["section"].endswith(section)
    assert cited["quote"] == quote
    assert cited["end"] - cited["start"] == len(quote)
    assert text_at(here.folder / "pages" / page, cited)
    url = message["annotations"][0]["url_citation"]
    assert message["content"][url["start_index"] : url["end_index"]] == f"[{cited['number']}]"


def test_anthropic_s_own_client_reads_the_citations_of_a_stream(here: Santral) -> None:
    client = anthropic.Anthropic(base_url=here.gateway, api_key=here.key, max_retries=0)
    with client.messages.stream(
        model="library",
        max_tokens=500,
        messages=[{"role": "user", "content": "When does the reading room open?"}],
    ) as stream:
        message = stream.get_final_message()
    cited = [c for b in message.content if b.type == "text" for c in b.citations or ()]
    assert [c.type for c in cited][:1] == ["char_location"]
    assert cited[0].cited_text.startswith("The reading room opens at nine")


def test_a_group_sees_what_others_do_not_and_readers_are_known(here: Santral) -> None:
    question = "How much does the head librarian earn a month?"
    key = run(here, "keys", "create", "--name", "people", "--group", "hr").strip()

    def answered() -> Any:
        answer = ask(here, question, key)
        return answer if "9100" in answer["choices"][0]["message"]["content"] else None

    # A new key reaches the workers within two seconds.
    wait_until(lambda: here.post(here.chat("library", question), key=key)[0] != 401, 10)
    told = wait_until(answered, 10)
    document = sources_of(told)[0]["document_id"]
    hidden = ask(here, question)
    assert "9100" not in str(hidden)
    assert "Salaries" not in str(hidden)
    here.trace(told["trace"])
    readers = here.admin(f"/api/collections/library/documents/{document}/readers")["readers"]
    assert {(r["trace_id"], r["is_cited"]) for r in readers} >= {(told["trace"], True)}
    assert len({r["key_id"] for r in readers}) == 1, "nobody without the group is among them"
    assert told["trace"] in run(
        here, "documents", "readers", document, "--collection", "library", "--url", here.control
    )


def test_a_question_without_an_answer_says_so(here: Santral) -> None:
    answer = ask(here, "Who won the chess championship of 1972?")
    assert "I don't know" in answer["choices"][0]["message"]["content"]
    assert sources_of(answer) == []
