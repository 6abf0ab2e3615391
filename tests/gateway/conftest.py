"""One worker with a route for every situation, reset before each test that uses it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.gateway.worker import Worker

GREETER = """+++
description = "Greets."
settings = { temperature = 0.25, seed = 5 }
[variables]
name = { type = "string", default = "you" }
topics = { type = "strings", default = [] }
+++
## system
Greeting for {{ name }}.{% for topic in topics %} About {{ topic }}.{% endfor %}
"""

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}

PRICES = """
version = "test-1"
currency = "USD"
[[price]]
kind = "openai-compatible"
model = "m-one"
from = 2020-01-01
input = "1.50"
cache_read = "0.15"
output = "6.00"
reasoning = "7.00"
[[price]]
kind = "openai-compatible"
model = "m-two"
from = 2020-01-01
input = "0.25"
output = "1.00"
"""

POLICIES = {
    "in-mask": "input = [{ check = 'pii', action = 'mask' }]\nretrieved = [{ check = 'pii', action = 'mask' }]",
    "in-refuse": "input = [{ check = 'pii', action = 'refuse' }]\nretrieved = [{ check = 'pii', action = 'refuse' }]",
    "in-injection": "input = [{ check = 'injection', action = 'refuse' }]\nretrieved = [{ check = 'injection', action = 'refuse' }]",
    "in-length": "input = [{ check = 'length', max_tokens = 60, action = 'refuse' }]\nretrieved = [{ check = 'length', max_tokens = 60, action = 'refuse' }]",
    "out-mask": "output = [{ check = 'pii', action = 'mask' }]",
    "out-secrets": "output = [{ check = 'secrets', action = 'mask' }]",
    "out-refuse": "output = [{ check = 'pii', action = 'refuse' }]",
    "out-schema": "output = [{ check = 'json_schema', action = 'retry' }, { check = 'pii', action = 'mask' }]",
    "out-schema-refuse": "output = [{ check = 'json_schema', action = 'retry' }, { check = 'pii', action = 'refuse' }]",
    "out-citations": "output = [{ check = 'citations', action = 'report' }, { check = 'pii', action = 'mask' }]",
    "out-length": "output = [{ check = 'length', max_tokens = 60, action = 'refuse' }]",
}


def configuration() -> str:
    text = """
[data]
folder = "data"
[prices]
file = "prices.toml"
[prompts]
folder = "prompts"
[server]
max_body_bytes = 20000
body_s = 5
[telemetry]
max_payload_bytes = 2000

[providers.stub]
kind = "openai-compatible"
base_url = "http://127.0.0.1:1/v1"
[collections.docs]

[routes.plain]
ladder = [{ deployments = { one = 1 } }]
[routes.ladder]
ladder = [{ deployments = { one = 1 } }, { deployments = { two = 1 } }]
[routes.masked-ladder]
ladder = [{ deployments = { one = 1 } }, { deployments = { two = 1 } }]
policy = "out-mask"
[routes.or-local]
ladder = [{ deployments = { one = 1 } }, { deployments = { extractive = 1 } }]
retrieval = { collection = "docs" }
[routes.unpriced]
ladder = [{ deployments = { one = 1 } }, { deployments = { free = 1 } }]
[routes.cached]
ladder = [{ deployments = { one = 1 } }]
cache = { enabled = true }
[routes.cached-masked]
ladder = [{ deployments = { one = 1 } }]
cache = { enabled = true }
policy = "out-mask"
[routes.schema]
ladder = [{ deployments = { one = 1 } }]
output_schema = "schema.json"
[routes.schema-ladder]
ladder = [{ deployments = { one = 1 } }, { deployments = { two = 1 } }]
output_schema = "schema.json"
[routes.prompted]
ladder = [{ deployments = { one = 1 } }]
prompt = "greeter@production"
[routes.tried]
ladder = [{ deployments = { one = 1 } }]
experiment = "wording"
[routes.capped]
ladder = [{ deployments = { one = 1 } }]
max_output_tokens = 50
[routes.strict]
ladder = [{ deployments = { one = 1 } }]
max_output_tokens = 50
strict = true

[experiments.wording]
salt = "s"
unit = "session"
variants.a = { weight = 1, prompt = "greeter@1.0.0" }
variants.b = { weight = 1 }
"""
    for model, name in (("m-one", "one"), ("m-two", "two"), ("m-free", "free")):
        text += f'[deployments.{name}]\nprovider = "stub"\nmodel = "{model}"\nretries = 0\n'
    for name, policy in POLICIES.items():
        text += f"[policies.{name}]\n{policy}\n"
        text += (
            f'[routes.{name}]\nladder = [{{ deployments = {{ one = 1 }} }}]\npolicy = "{name}"\n'
        )
        if "schema" in name:
            text += 'output_schema = "schema.json"\n'
        text += f'[routes.found-{name}]\nladder = [{{ deployments = {{ one = 1 }} }}]\npolicy = "{name}"\n'
        text += 'retrieval = { collection = "docs" }\n'
    text += "[routes.found-plain]\nladder = [{ deployments = { one = 1 } }]\n"
    return text + 'retrieval = { collection = "docs" }\n'


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("worker")
    greeter = folder / "prompts" / "greeter"
    greeter.mkdir(parents=True)
    (greeter / "1.0.0.md").write_text(GREETER)
    (greeter / "labels.toml").write_text('production = "1.0.0"\n')
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    (folder / "prices.toml").write_text(PRICES)
    made = Worker(folder, configuration())
    yield made
    made.close()


@pytest.fixture
def worker(running: Worker) -> Worker:
    running.reset()
    return running
