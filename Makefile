# agentmesh: `make help` lists what there is. Everything runs inside .venv, which `make setup` makes.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# An index that carries CPU builds of torch (optional; without one the default index serves).
TORCH_INDEX ?=
SERVICE ?= conversation
SECONDS ?= 10
BENCH ?= turn

.PHONY: help setup proto proto-check fmt lint type test unit integration e2e demo up verify bench profile clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

setup: $(STAMP) ## make .venv with everything in it

# torch comes first and alone: a looser requirement would let pip choose a build with gigabytes of CUDA.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	touch $@

proto: $(STAMP) ## generate the stubs in protos/gen from the contracts
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/generate.sh protos/gen

proto-check: $(STAMP) ## lint the contracts; are the committed stubs the ones they generate?
	cd protos && ../$(BIN)/buf lint
	PATH="$(CURDIR)/$(BIN):$$PATH" protos/check.sh

fmt: $(STAMP) ## format and fix what can be fixed
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

lint: $(STAMP) proto-check ## style, layers and contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

type: $(STAMP) ## mypy, strict
	$(BIN)/mypy

unit: $(STAMP) ## the tests that need nothing but Python
	$(BIN)/pytest tests/unit tests/architecture

integration: $(STAMP) ## real Redis, real gRPC, the real SDK against the simulator
	$(BIN)/pytest tests/integration

e2e: $(STAMP) ## the whole mesh in processes of its own
	$(BIN)/pytest tests/e2e

test: lint type ## lint, types, unit, integration, e2e
	$(BIN)/pytest tests

verify: test ## everything that must hold before a change lands

demo: $(STAMP) ## a real conversation through every service, with what each step cost and saved
	$(BIN)/agentmesh demo

up: $(STAMP) ## run the whole mesh until Ctrl-C
	$(BIN)/agentmesh up

bench: $(STAMP) ## run a benchmark: make bench BENCH=turn
	$(BIN)/python -m tests.benchmarks.$(BENCH)

profile: $(STAMP) ## a py-spy flame graph of a running service: make profile SERVICE=conversation SECONDS=10
	$(BIN)/agentmesh profile $(SERVICE) --seconds $(SECONDS)

clean: ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
