"""A person's scores go with them: those they gave, and those on what they asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from tests.privacy.conftest import ACME, AYSE, MAIL, MEHMET, OTHER, SAID, Installation
from tests.traces.conftest import START_US

from santral.privacy.proof import Proof
from santral.traces.scores.score import ScoreRecord

pytestmark = pytest.mark.anyio


def score(number: int, trace_id: str, **changes: Any) -> ScoreRecord:
    fields: dict[str, Any] = {
        "id": f"{number:032x}", "tenant_id": ACME, "trace_id": trace_id, "name": f"own{number}",
        "source": "user", "at_us": START_US + 10_000_000 + number, "value": 1.0,
    }  # fmt: skip
    return ScoreRecord(**{**fields, **changes})


async def put_scores(installation: Installation) -> None:
    """Score an answer of each, in words of each; one score waits in the spool."""
    await installation.fill()
    hers = installation.request(1, AYSE, SAID).trace_id
    his = installation.request(13, MEHMET, OTHER).trace_id
    given = [
        score(1, hers, comment=SAID),
        score(2, his, rater=AYSE, comment=SAID),
        score(3, his, rater=MEHMET, comment=f"{OTHER}, not {MAIL}"),
        score(4, his, rater=MEHMET, comment=OTHER),
        score(5, hers, user=AYSE, rater=AYSE, comment=SAID),
    ]
    for one in given[:4]:
        assert installation.spool.append(one)
    await installation.collector.collect_once()
    assert installation.spool.append(given[4])


async def test_after_an_erasure_no_file_holds_what_the_person_said_of_answers(
    installation: Installation,
) -> None:
    await put_scores(installation)
    job = await installation.erase()
    assert (job.state, job.error) == ("done", "")
    proof = msgspec.convert(job.result, Proof)
    traces = next(place for place in proof.places if place.name == "traces")
    assert traces.before.own["scores"] == 3
    assert traces.before.mentions == 2  # a payload and a comment
    assert (traces.after.own, traces.after.mentions) == ({}, 0)
    installation.spool.close()
    assert installation.where(SAID) == []
    left = await installation.store.list_scores(ACME, (0, 2**60))
    assert [one.comment for one in left] == [OTHER, f"{OTHER}, not [erased]"]
    account = await installation.collector.account()
    assert account.is_balanced


async def test_a_copy_holds_the_persons_scores_alone(installation: Installation) -> None:
    await put_scores(installation)
    job = await installation.export()
    assert (job.state, job.error) == ("done", "")
    lines = (installation.folder / "exports" / job.id / "traces.jsonl").read_text().splitlines()
    given = [line["score"] for line in map(msgspec.json.decode, lines) if "score" in line]
    assert [one["comment"] for one in given] == [SAID, SAID, SAID]
    assert all(OTHER not in line for line in lines)
