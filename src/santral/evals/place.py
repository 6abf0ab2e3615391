"""What a process evaluates with, and what somebody asks it to evaluate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from msgspec import Struct

from santral.config.load import LoadedConfig
from santral.db.engine import Engine
from santral.errors import BadRequest
from santral.evals.answer import Ask
from santral.evals.kind import Kind
from santral.evals.run import Run
from santral.evals.runner import Told
from santral.evals.suite import SuiteFile
from santral.evals.tools import Tools
from santral.tenants.tenant import DEFAULT_TENANT, TenantId

#: Opens a gateway for a tenant, in this process or at an address. Raises ConfigError, NotFound.
OpenAsk: TypeAlias = Callable[[LoadedConfig, Engine, TenantId], AbstractAsyncContextManager[Ask]]


class OpenTools(Protocol):
    """Opens what evaluators need; ``ask`` is None where nobody can be asked."""

    def __call__(
        self,
        loaded: LoadedConfig,
        engine: Engine | None,
        tenant: TenantId,
        ask: Ask | None,
        folder: Path,
    ) -> AbstractAsyncContextManager[Tools]: ...


class Place(Struct, frozen=True, kw_only=True):
    """The parts of one process that evaluates; built by ``app/``.

    Without ``engine`` nothing can be asked or kept: recorded answers are scored all the same.
    ``is_remote`` says that another process answers, of whose configuration nothing is known.
    """

    loaded: LoadedConfig
    engine: Engine | None
    open_ask: OpenAsk
    open_tools: OpenTools
    evaluators: Mapping[str, type[Kind]]
    clock: Callable[[], datetime]
    random_bytes: Callable[[int], bytes]
    is_remote: bool = False

    @property
    def database(self) -> Engine:
        """The control database.

        Raises:
            BadRequest: this process has none.
        """
        if self.engine is None:
            raise BadRequest("This needs the control database: leave out --no-store.")
        return self.engine


class Wish(Struct, frozen=True, kw_only=True):
    """What to evaluate, and how.

    ``id`` names the runs that are made, and ``is_resumed`` says that some of them may be there already.
    ``replay`` are runs whose answers are scored again, by target: nothing is asked.
    """

    suite: SuiteFile
    tenant: TenantId = DEFAULT_TENANT
    id: str = ""
    is_resumed: bool = False
    is_kept: bool = True
    is_fresh: bool = False  # take no answer that was paid for before
    replay: Mapping[str, Run] = {}
    baselines: Mapping[str, Run] = {}  # by target, for evaluators that compare two
    git_sha: str = ""


#: Hears how far each target is, by its name.
TellTarget: TypeAlias = Callable[[str, Told], None]
