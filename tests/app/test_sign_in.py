"""The way through an OpenID provider costs nothing where none is configured, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys

from santral.app.sign_in import build_sign_in
from santral.config.schema import Config


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_the_setting_there_is_no_way_and_nothing_of_it_is_imported() -> None:
    assert build_sign_in(Config()) is None
    loaded = run(
        "import sys, santral.app.sign_in, santral.console.pages\n"
        "print([name for name in ('joserfc', 'santral.tenants.oidc.flow') if name in sys.modules])"
    )
    assert loaded.strip() == "[]"


def test_a_missing_package_is_named_with_its_extra() -> None:
    said = run(
        "import sys\n"
        "sys.modules['joserfc'] = None\n"
        "from santral.app.sign_in import build_sign_in\n"
        "from santral.config.schema import Config\n"
        "try:\n"
        "    build_sign_in(Config.model_validate({'sso': {'issuer': 'https://id.test', 'client_id': 'c'}}))\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)"
    )
    assert said.startswith("ConfigError sso: ")
    assert "pip install 'santral[sso]'" in said
