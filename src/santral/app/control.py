"""The control role: admin API, console and collector; the only process that opens the trace store."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import Annotated

from fastapi import Depends, FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError

from santral.app.refresh import Reloader
from santral.app.server import Server, serve
from santral.config.load import LoadedConfig
from santral.console.api import console_router
from santral.db.engine import Engine, connect, database_url, reading
from santral.errors import BadRequest, NotAllowed, SantralError
from santral.quota.api import limits_router
from santral.quota.ledger import write_ledger
from santral.tenants.api import tenants_router
from santral.tenants.keyring import presented_key
from santral.tenants.store import load_keyring
from santral.traces.api import traces_router
from santral.traces.collector import Collector
from santral.traces.metrics import CONTENT_TYPE, Metrics
from santral.traces.store import TraceStore
from santral.web.errors import openai_error

log = logging.getLogger(__name__)
