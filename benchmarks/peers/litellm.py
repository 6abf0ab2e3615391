"""LiteLLM's proxy: one uvicorn worker, a master key, no database, no call-backs."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from typing import ClassVar

from benchmarks.cpu import process_tree
from benchmarks.peers.peer import Place, Running, Target, free_port
from benchmarks.tools import BUILD

_FOLDER = BUILD / "litellm"
_PYTHON = _FOLDER / "bin" / "python"
_MODEL = "bench"
_TRANSLATED = "bench-messages"

#: It fetches its price map at import, three tries with pauses, unless told not to; the rest keeps it
#: from writing to the terminal and from calling home.
_ENV = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_TELEMETRY": "False",
    "DISABLE_ADMIN_UI": "True",
    "NO_DOCS": "True",
    "NO_PROXY": "*",
}


class LiteLLM:
    name: ClassVar[str] = "litellm"
    is_heavy: ClassVar[bool] = True

    def missing(self) -> str | None:
        return (
            None if (_FOLDER / "bin" / "litellm").exists() else "not installed (run with --peers)"
        )

    def install(self) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(_FOLDER)], check=True)
        packages = ["litellm[proxy]"]
        subprocess.run(
            [str(_PYTHON), "-m", "pip", "install", "-q", *packages], check=True, timeout=900
        )

    def start(self, place: Place) -> Running:
        port, key = free_port(), f"sk-{secrets.token_urlsafe(36)}"
        folder = place.folder / "litellm"
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.yaml"  # JSON is YAML
        config.write_text(json.dumps(_config(place.upstream.base_url, key)))
        config.chmod(0o600)
        argv = [
            str(_FOLDER / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1",
            "--port", str(port), "--num_workers", "1",
        ]  # fmt: skip
        path = f"{_FOLDER / 'bin'}:{os.environ.get('PATH', '')}"
        started = place.start(
            "litellm", argv, port, env={**_ENV, "PATH": path}, cwd=folder, within_s=120
        )

        def pids() -> list[int]:
            return process_tree(started.child.pid)

        target = Target(
            "litellm", port, _MODEL, pids, pids, version=_version(),
            features="master key, routing by model name; no limits, no guardrails, no record",
            headers=[f"authorization: Bearer {key}"], feats={"messages-to-chat": _MODEL, "chat-to-messages": _TRANSLATED},
        )  # fmt: skip
        return Running([target], started.child, started.began)


def _config(base_url: str, key: str) -> dict[str, object]:
    return {
        "model_list": [
            {
                "model_name": _MODEL,
                "litellm_params": {
                    "model": "openai/scripted",
                    "api_base": base_url,
                    "api_key": "none",
                },
            },
            {
                "model_name": _TRANSLATED,
                "litellm_params": {
                    "model": "anthropic/scripted",
                    "api_base": base_url.removesuffix("/v1"),
                    "api_key": "none",
                },
            },
        ],
        "litellm_settings": {
            "telemetry": False,
            "drop_params": False,
            "num_retries": 0,
            # else it asks the Responses endpoint for what came as Anthropic's Messages
            "use_chat_completions_url_for_anthropic_messages": True,
        },
        "general_settings": {"master_key": key},
    }


def _version() -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.run(
        [str(_PYTHON), "-c", code], capture_output=True, text=True, check=False
    ).stdout.strip()
