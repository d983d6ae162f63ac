# Everything that a person or the CI runs. Only relative paths: the folder may have spaces in its name.
PYTHON ?= python3
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Written before an installation and removed after it: one that was interrupted is thrown away and done anew.
UNFINISHED := $(VENV)/.installing

.PHONY: demo
demo: $(STAMP) ## Install, start everything, run the demonstration (about 4 minutes), stop
	@$(BIN)/stepwatch demo

.PHONY: up
up: $(STAMP) ## Start the local stack in the foreground; Ctrl-C stops it
	@$(BIN)/stepwatch up

.PHONY: test
test: $(STAMP) ## All tests, those against a real broker and a real ClickHouse included
	$(BIN)/python -m pytest

.PHONY: check
check: lint ## What to run before a commit: lint, and all tests that need no broker
	$(BIN)/python -m pytest -m "not integration"

.PHONY: integration
integration: $(STAMP) ## Only the tests against a real broker and a real ClickHouse
	$(BIN)/python -m pytest -m integration

.PHONY: lint
lint: $(STAMP) ## Format, ruff, types, import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: bench
bench: $(STAMP) ## CPU time per span of the scorer, with its parts
	$(BIN)/python -m tests.bench

.PHONY: bench-evaluators
bench-evaluators: $(STAMP) ## How right and how fast the evaluators are, with a rival beside them (some minutes)
	$(BIN)/python -m tests.bench.evaluators

.PHONY: install
install: $(STAMP) ## Only create the environment

.PHONY: requirements
requirements: ## Pin all dependencies with hashes (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--extra local --group dev pyproject.toml -o requirements.txt

.PHONY: clean
clean: ## Stop the local stack; remove it, the environment and all caches
	@if [ -x $(BIN)/stepwatch ] && [ -e $(STAMP) ]; then $(BIN)/stepwatch down; fi
	rm -rf $(VENV) .stepwatch .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Stepwatch needs Python 3.11 or newer: install one, and name it with make PYTHON=python3.11" >&2; exit 1; }
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -c '' 2>/dev/null; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(UNFINISHED)
	@[ -x $(BIN)/python ] || { echo "Creating the environment in $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned packages (the first time some hundred MB are downloaded)"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --require-hashes -r requirements.txt \
		| awk '/^Collecting/ { if (++n % 15 == 0) { print "  " n " packages found, now " $$2; fflush() } } \
			/^Installing/ { print "  unpacking " n " packages"; fflush() }'
	@echo "Installing Stepwatch itself"
	@$(BIN)/python -m pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e .
	@rm $(UNFINISHED) && touch $(STAMP)
	@echo "Installed."
