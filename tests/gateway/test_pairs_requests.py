"""Everything a request asks for reaches the provider or is named as lost, in every pair of dialects."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.dialects_in import DIALECTS, ask
from tests.gateway.rich_requests import ASKED, RICH, THINGS, leaves
from tests.gateway.valid_requests import VALID
from tests.gateway.vendors import Exchange, VendorWorker, exchange_of, kinds, recordings
from tests.gateway.worker import Answer

ROOT = Path(__file__).parents[2]
KINDS = kinds()

pytestmark = pytest.mark.usefixtures("_docs")

#: A plain answer of each kind; those that speak as OpenAI does may have OpenAI's.
WHOLE = {
    kind: next(
        (
            name
            for name in recordings()
            if exchange_of(name).kind == kind and name.endswith(("/whole.json", "/text.json"))
        ),
        "openai/whole.json",
    )
    for kind in KINDS
}
IN = pytest.mark.parametrize("dialect", DIALECTS)
OUT = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def _docs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "docs"))
        yield


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorWorker]:
    made = VendorWorker(tmp_path_factory.mktemp("vendors"), KINDS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def answers(vendors: VendorWorker) -> dict[str, Exchange]:
    """Answers that have the form that the requests want."""
    return {kind: vendors.say(name, '{"schema_canary": "x"}') for kind, name in WHOLE.items()}


def table() -> Any:
    return importlib.import_module("generator.loss_table")


def sent(
    vendors: VendorWorker, answers: dict[str, Exchange], dialect: str, kind: str, route: str = ""
) -> Answer:
    vendors.answer_with(answers[kind])
    return ask(vendors, dialect, route or kind, stream=False, fields=RICH[dialect])


@OUT
@IN
def test_what_does_not_arrive_is_named_and_written_down(
    vendors: VendorWorker, answers: dict[str, Exchange], dialect: str, kind: str
) -> None:
    answer = sent(vendors, answers, dialect, kind)
    assert answer.status == 200, answer.body
    found = list(leaves(vendors.upstream.sent[0].json))
    named = answer.headers.get("x-santral-loss", "").split(", ")
    gone = [name for name in ASKED[dialect] if not THINGS[name].find(found)]
    in_silence = [
        name for name in gone if not any(re.search(THINGS[name].losses, loss) for loss in named)
    ]
    assert in_silence == [], named
    assert tuple(gone) == table().LOST[dialect][kind], "update docs/generator/loss_table.py"
    assert vendors.record.losses == [name for name in named if name]


@OUT
@IN
def test_a_strict_route_refuses_what_it_would_lose(
    vendors: VendorWorker, answers: dict[str, Exchange], dialect: str, kind: str
) -> None:
    named = sent(vendors, answers, dialect, kind).headers.get("x-santral-loss")
    answer = sent(vendors, answers, dialect, kind, f"{kind}-strict")
    if named is None:
        assert answer.status == 200, answer.body
    else:
        assert answer.status == 400, answer.body
        assert b"parameter_not_supported" in answer.body.lower()
        assert vendors.upstream.sent == []


@pytest.mark.parametrize("kind", VALID)
@IN
def test_the_vendors_own_types_take_what_it_is_sent(
    vendors: VendorWorker, answers: dict[str, Exchange], dialect: str, kind: str
) -> None:
    assert sent(vendors, answers, dialect, kind).status == 200
    VALID[kind](vendors.upstream.sent[0].json)


@IN
def test_the_table_knows_what_is_asked(dialect: str) -> None:
    assert table().ASKED[dialect] == ASKED[dialect]
    assert set(table().LOST[dialect]) == set(KINDS)
    assert set(table().WORDS) == set(THINGS)


def test_the_page_is_written_from_the_table() -> None:
    written = (ROOT / "docs/reference/losses.md").read_text(encoding="utf-8")
    page = importlib.import_module("generator.losses")
    assert written == page.losses_page(), "run: python docs/generate.py"
