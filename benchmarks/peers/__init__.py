"""The gateways that are measured: one file each, and the order in which they run."""

from __future__ import annotations

from benchmarks.peers.bare import Bare
from benchmarks.peers.direct import Direct
from benchmarks.peers.litellm import LiteLLM
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.peer import Peer
from benchmarks.peers.portkey import Portkey
from benchmarks.peers.santral import Santral

#: Name to class. `direct` is no gateway: what the load generator sees without one.
PEERS: dict[str, type[Peer]] = {
    "direct": Direct,
    "nginx": Nginx,
    "bare": Bare,
    "santral": Santral,
    "portkey": Portkey,
    "litellm": LiteLLM,
}
