"""Every place where a person can be, in the order of erasing.

Files come first: a batch under way stops an erasure before it has changed anything. Traces come last:
they say which sessions are the person's, so an erasure that was killed finds them
again. A folder that keeps something of people adds its place here; ``tests/privacy`` looks through all
tables and fails where a column that names somebody is in no place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from santral.cache.redis_tier import RedisTier
from santral.db.engine import Engine
from santral.gateway.batches.cabinet import Cabinet
from santral.privacy.counters import Counters
from santral.privacy.place import Place
from santral.privacy.places.caches import CachedAnswers
from santral.privacy.places.database import Documents, Ledger, Limits
from santral.privacy.places.datasets import Examples
from santral.privacy.places.exports import Exports
from santral.privacy.places.files import Files
from santral.privacy.places.held import HeldAnswers
from santral.privacy.places.responses import Responses
from santral.privacy.places.reviews import Reviews
from santral.privacy.places.spool import SpoolFolder
from santral.privacy.places.traces import Traces
from santral.secrets.pseudonym import Pseudonyms
from santral.traces.collector import Collector
from santral.traces.store import TraceStore

#: Tables with a column that names somebody, and why they are in no place.
NO_PLACE: Mapping[str, str] = {
    "database.users": "people who administer; they are removed as users, with their memberships",
    "database.memberships": "roles of people who administer",
    "database.sessions": "console sessions of people who administer; they end by themselves",
    "database.virtual_keys": "keys are issued to people who administer and to applications",
    "database.audit_log": "the chain proves itself and cannot change; it names no end user",
    "database.prompt_versions": "prompts are written by people who administer, about nobody",
    "database.prompt_label_events": "who moved a label: people who administer",
    "database.prompt_protections": "which labels are protected: people who administer",
    "database.monitors": "what is watched; it holds numbers and names no person",
    "database.monitor_findings": "numbers, and ids of traces, which an erasure removes with the person",
    "database.judge_calibrations": "numbers of how a judge agrees with people, in nobody's words",
    "database.experiments": "what is compared; it names no end user",
    "database.experiment_events": "decisions and the numbers they rest on; units are no part of them",
    "database.jobs": "an erasure takes the person out of its own row; no job that is over names one",
}


def places_of(
    data_folder: Path,
    engine: Engine,
    store: TraceStore,
    collector: Collector,
    redis: RedisTier | None,
    counters: Counters | None,
    pseudonyms: Pseudonyms,
    clock: Callable[[], datetime],
) -> Sequence[Place]:
    """Return every place of one installation."""
    objects = data_folder / "objects"
    return (
        Files(Cabinet(objects)),
        Ledger(engine, pseudonyms),
        Limits(engine, counters),
        Responses(objects),
        HeldAnswers(objects),
        CachedAnswers(engine, data_folder, redis, clock),
        Documents(engine),
        Examples(engine, clock),
        Reviews(engine, store),
        Exports(data_folder),
        SpoolFolder(data_folder / "spool", collector, store),
        Traces(store),
    )
