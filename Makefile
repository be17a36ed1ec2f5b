# Everything one does with a checkout. `make demo` and `make test` set up what they need:
# Debian packages that are missing (as root), a virtual environment in .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
# constraints.txt has the version of every package that was tested together.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

export PYTHON
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:   # apt-get runs one at a time
.PHONY: help dev runtime packages-demo packages-test packages-bench demo check lint \
        test test-unit test-net fuzz bench clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev: $(VENV)/.dev ## virtual environment with everything for development, in .venv
runtime: $(VENV)/.runtime

# The stamps lie inside the environment, so that removing the one removes the others. Packages of
# the system are looked at only where the environment is made.
$(VENV)/.made:
	@scripts/apt-packages build
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) --editable '.[dev]'
	@touch $@ $(VENV)/.runtime

packages-demo packages-test packages-bench: packages-%:
	@scripts/apt-packages $*

demo: packages-demo runtime ## the namespace lab: hosts, router, servers outside, traffic both ways (root)
	$(BIN)/postroad lab demo

check: lint test-unit ## lint, types, import rules and unit tests; needs no root

lint: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-unit: dev
	$(PYTEST) -q -m 'not net and not slow'

test: packages-demo packages-test lint ## every test that needs no virtual machine, with branch coverage (root)
	$(PYTEST) -q --cov --cov-report=term

test-net: packages-demo packages-test dev ## only the tests in network namespaces, against real peers (root)
	$(PYTEST) -q -m net

fuzz: dev ## random packets and texts for POSTROAD_FUZZ_SECONDS (60), round after round; needs no root
	$(BIN)/python -m tests.fuzz $(FUZZ)

bench: packages-bench dev ## speed beside a raw copier and peers, and limits; BENCH=--help for options (root)
	$(BIN)/python -m tests.bench $(BENCH)

clean: ## remove what the other targets made, the environment included
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache \
	    .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
