"""Going on with what was stopped: which runs, and whether they are still the same."""

from __future__ import annotations

from santral.db.engine import reading
from santral.errors import Conflict, NotFound
from santral.evals import store
from santral.evals.place import Place, Wish
from santral.evals.run import RunHead

#: How the ids of runs end that were made of a baseline's commit, for the evaluation that needed them.
OF_BASE = "-base"


def batch_of(run_id: str) -> str:
    """Return what the runs of one evaluation have in common, those of its baseline too."""
    return run_id.partition(".")[0].removesuffix(OF_BASE)


async def batch_to_resume(place: Place, wish: Wish, ref: str) -> str:
    """Return the id to go on with: of a run, or of the last evaluation of this suite.

    Raises:
        NotFound: there is no such run, or none of this suite.
    """
    async with reading(place.database) as conn:
        if ref != "last":
            found = await store.runs_beginning(conn, wish.tenant, batch_of(ref))
            if not found:
                raise NotFound(f"There is no run '{ref[:64]}' to go on with.", code="run_not_found")
            return batch_of(ref)
        latest = await store.list_runs(conn, wish.tenant, suite=wish.suite.suite.name, limit=1)
    if not latest:
        raise NotFound(
            f"The suite '{wish.suite.suite.name}' was never run: there is nothing to go on with.",
            code="run_not_found",
        )
    return batch_of(latest[0].id)


def check_same(before: RunHead, now: RunHead) -> None:
    """Raise Conflict where a run would go on with something else than it began with."""
    changed = [
        name
        for name in ("config_hash", "dataset_digest", "repeats", "seed", "evaluators")
        if getattr(before, name) != getattr(now, name)
    ]
    if not now.config_hash and before.target_hash not in ("", now.target_hash):
        changed.append("target")  # of a server elsewhere nothing else is known
    if before.against != now.against and any(m.neutral is not None for m in now.measures):
        changed.append("against")  # the baseline that a pairwise judge compares with
    if changed:
        raise Conflict(
            f"The run {before.id} cannot go on: {', '.join(changed)} changed since it began. Start "
            "another one; answers that still hold are taken from the first.",
            code="run_changed",
        )
