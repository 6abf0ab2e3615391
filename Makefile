# The one door for people and CI. `make` alone lists the targets.
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help setup demo test journeys check fmt bench docs lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

# The lock has hashes and no addresses: packages come from wherever this machine gets its own.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Santral needs Python 3.11 or newer; say which with: make PYTHON=python3.12 ...")'
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/uv pip install --quiet --python $(PY) --no-deps --editable .
	@touch $(STAMP)

setup: $(STAMP) ## Install everything into .venv

demo: $(STAMP) ## Start Santral on embedded engines and take the tour (DEMO_EXIT=1 ends after it)
	@DEMO_EXIT=$(DEMO_EXIT) $(PY) examples/quickstart/tour.py

test: $(STAMP) ## Run all tests; installs redis-server and chromium when missing and root
	@sh scripts/system-programs.sh
	$(PY) -m pytest -n auto --dist worksteal

# Each in an environment of its own: they pin versions of the vendors' SDKs that are not ours. torch is
# left to pip, which also takes it from where this machine keeps it (a wheel for CPU is enough).
JOURNEYS := litellm pydantic-ai langchain engine

journeys: $(JOURNEYS:%=.venv-clients/%/.installed) ## Run other people's clients and a real engine; on demand, not in CI
	$(PY) -m pytest tests/journeys -m "clients or engine"

.venv-clients/engine/.installed: TORCH := torch==2.13.0
.venv-clients/%/.installed: requirements/clients-%.txt | $(STAMP)
	@echo "installing .venv-clients/$*"
	@$(PY) -m venv $(@D)
	@test -z "$(TORCH)" || $(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@$(VENV)/bin/uv pip install --quiet --python $(@D) --require-hashes --no-deps -r $<
	@touch $@

check: $(STAMP) ## Format, lint, types, import contracts, dependencies, spelling, generated docs
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright --threads 2
	$(VENV)/bin/lint-imports --no-cache
	$(VENV)/bin/deptry src
	$(VENV)/bin/codespell
	$(PY) docs/generate.py --check

fmt: $(STAMP) ## Format and mend what can be mended
	$(VENV)/bin/ruff check --fix-only --quiet . ; $(VENV)/bin/ruff format .

bench: $(STAMP) ## Measure: CPU per request, added latency, streams; peers where installable
	$(PY) -m benchmarks $(BENCH)
	$(PY) -m benchmarks.decisions

docs: $(STAMP) ## Generate the reference and build the site into site/
	$(PY) docs/generate.py
	$(VENV)/bin/zensical build --clean

lock: $(STAMP) ## Resolve the dependencies anew into requirements/
	$(VENV)/bin/uv pip compile -q pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/dev.txt --upgrade
	echo uv | $(VENV)/bin/uv pip compile -q - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/uv.txt
	for name in $(JOURNEYS); do $(VENV)/bin/uv pip compile -q requirements/clients-$$name.in --override requirements/clients-overrides.txt --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header -o requirements/clients-$$name.txt --upgrade || exit 1; done

clean: ## Remove everything that can be made again
	rm -rf $(VENV) .venv-clients site santral-data examples/quickstart/santral-data benchmarks/build .pytest_cache .ruff_cache .hypothesis
