"""Every table of the control database: migrations and stores share these objects.

Ids are text and made by us, amounts are whole numbers (nano-USD, tokens, bytes), times are UTC. A
table with a ``tenant_id`` is read and written with it: tests/db/test_tenant_scope.py watches.
"""

from __future__ import annotations

from santral.db.tables.audit import audit_anchor, audit_log
from santral.db.tables.evals import (
    dataset_revisions,
    dataset_version_examples,
    dataset_versions,
    datasets,
    eval_answers,
    eval_runs,
    eval_samples,
    judge_calibrations,
    monitor_findings,
    monitors,
)
from santral.db.tables.experiments import experiment_events, experiments
from santral.db.tables.jobs import jobs
from santral.db.tables.prompts import prompt_label_events, prompt_protections, prompt_versions
from santral.db.tables.quota import alerts, ledger, limit_rules
from santral.db.tables.retrieval import (
    chunks,
    collection_versions,
    collections,
    document_bodies,
    document_sources,
    documents,
    fitted_models,
    retrieval_runs,
    vectors,
    version_documents,
)
from santral.db.tables.review import review_items, review_queues, review_tasks
from santral.db.tables.secrets import data_keys, provider_secrets
from santral.db.tables.shape import Instant, metadata, revision
from santral.db.tables.tenants import memberships, sessions, tenants, users, virtual_keys

__all__ = [
    "Instant",
    "alerts",
    "audit_anchor",
    "audit_log",
    "chunks",
    "collection_versions",
    "collections",
    "data_keys",
    "dataset_revisions",
    "dataset_version_examples",
    "dataset_versions",
    "datasets",
    "document_bodies",
    "document_sources",
    "documents",
    "eval_answers",
    "eval_runs",
    "eval_samples",
    "experiment_events",
    "experiments",
    "fitted_models",
    "jobs",
    "judge_calibrations",
    "ledger",
    "limit_rules",
    "memberships",
    "metadata",
    "monitor_findings",
    "monitors",
    "prompt_label_events",
    "prompt_protections",
    "prompt_versions",
    "provider_secrets",
    "retrieval_runs",
    "review_items",
    "review_queues",
    "review_tasks",
    "revision",
    "sessions",
    "tenants",
    "users",
    "vectors",
    "version_documents",
    "virtual_keys",
]
