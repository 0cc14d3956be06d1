# Every command of the project; `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup dev demo check format test unit e2e bench lock clean

help:  ## list the commands
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9]+):.*## /  make \1	/' | expand -t 20

setup: $(VENV)/.platform  ## make .venv with the platform

$(VENV)/.platform: requirements/platform.lock requirements/build.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=python3.11 or newer: make PYTHON=... ")'
	@test -x $(BIN)/python || { echo "Making a virtual environment in $(VENV)"; $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; }
	@echo "Installing the platform into $(VENV) (once; a minute or two)"
	$(PIP) install --require-hashes -r requirements/build.lock -r requirements/platform.lock
	$(PIP) install --no-deps --no-build-isolation --quiet --editable .
	@touch $@

dev: $(VENV)/.dev  ## make .venv with everything checks and tests need

$(VENV)/.dev: $(VENV)/.platform requirements/dev.lock
	@echo "Installing the development tools"
	$(PIP) install --require-hashes --quiet -r requirements/dev.lock
	@touch $@

demo: setup  ## start, serve the mnist model, recognise ten real digits through the gateway
	$(BIN)/python examples/01-mnist/demo.py

check: dev  ## format, lint, types, import contract
	$(BIN)/ruff format --check src tests tools benchmarks examples
	$(BIN)/ruff check src tests tools benchmarks examples
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_sizes.py

format: dev  ## format and mend what can be mended
	$(BIN)/ruff format src tests tools benchmarks examples
	$(BIN)/ruff check --fix src tests tools benchmarks examples

test: check unit e2e  ## everything: checks, unit tests, end-to-end tests

unit: dev  ## the tests without processes
	$(BIN)/pytest tests/unit tests/contract tests/integration -n $(JOBS) -q

e2e: dev  ## the tests with real processes, Envoy and models
	$(BIN)/pytest tests/e2e -n $(JOBS) --dist loadgroup -q

bench: dev  ## run the benchmarks and print their tables
	$(BIN)/python -m benchmarks

lock: dev  ## write the locked requirements anew
	$(BIN)/python tools/lock.py

clean:  ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
