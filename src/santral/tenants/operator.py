"""The operator of the machine: whoever may run commands here may do everything."""

from __future__ import annotations

import os
from getpass import getuser

from santral.tenants.permission import Grant, Principal
from santral.tenants.tenant import EVERYWHERE
from santral.tenants.tree import TenantTree


def local_operator() -> Principal:
    """Return who runs a command, for the audit log; owner over everything.

    Who can read the configuration and the database needs no key.
    """
    return Principal(
        name=f"cli:{_user()}",
        origin="cli",
        grants=(Grant("owner", EVERYWHERE),),
        tree=TenantTree({}),
    )


def _user() -> str:
    try:
        return getuser()
    except (OSError, KeyError):  # a container may run under a number that no file names
        return f"uid {os.getuid()}"
