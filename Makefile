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
# What was begun is thrown away anyhow, so Python modules end at once instead of tidying up for seconds.
MODULE := -u -c 'import runpy, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); del sys.argv[0]; \
	runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)'
AT_CTRL_C = trap 'echo "Interrupted: run the same command again, the installation begins afresh." >&2; exit 130' INT;

.PHONY: demo
demo: fresh ## Install, start everything, run the demonstration (about 4 minutes), stop; DIALECT=langgraph: a real framework's runs
	@$(if $(DIALECT),$(BIN)/python $(MODULE) tests.instrumentors.demo $(DIALECT),$(BIN)/stepwatch demo)

.PHONY: up
up: fresh ## Start the local stack in the foreground; Ctrl-C stops it
	@$(BIN)/stepwatch up

.PHONY: test
test: fresh ## All tests, those against a real broker and a real ClickHouse included
	$(BIN)/python -m pytest

.PHONY: check
check: fresh lint ## What to run before a commit: lint, and all tests that need no broker
	$(BIN)/python -m pytest -m "not integration"

.PHONY: integration
integration: fresh ## Only the tests against a real broker and a real ClickHouse
	$(BIN)/python -m pytest -m integration

.PHONY: instrumentors
instrumentors: fresh ## Real agent frameworks under their instrumentation, all or PAIR=...; RECORD=1 keeps what they export
	$(BIN)/python -m tests.instrumentors $(if $(RECORD),--record) $(PAIR)
	$(BIN)/python -m pytest -m instrumentors tests/instrumentors $(if $(PAIR),-k "$(PAIR)")

.PHONY: lint
lint: $(STAMP) ## Format, ruff, types, import contracts
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: scenarios
scenarios: fresh ## What happens to agents and what must be told of it, all of tests/scenarios on a stack of its own
	$(BIN)/python -m tests.scenarios

.PHONY: chaos-alerts
chaos-alerts: fresh ## The same while the alerter is killed fifty times, fenced, and told everything twice
	$(BIN)/python -m tests.scenarios --kills 50 --fences 5 --pace 3

.PHONY: chaos
chaos: fresh ## Every failpoint twice, a hundred kills, a store that fails, a minute without Kafka, a topic made anew; then all must be right
	$(BIN)/python -m tests.chaos --kills 100

.PHONY: chaos-long
chaos-long: fresh ## The same, ten times, each of another seed (two hours)
	for n in 1 2 3 4 5 6 7 8 9 10; do $(BIN)/python -m tests.chaos --kills 100; done

.PHONY: simulate
simulate: pure ## Seeded schedules of crashes, zombies and late spans on the real engine, then on the real shells; and the planted bugs
	$(BIN)/python -m tests.simulator --seeds 20000
	$(BIN)/python -m tests.simulator --bugs --seeds 2000
	$(BIN)/python -m tests.simulator --shells --seeds 5000
	$(BIN)/python -m tests.simulator --shells --bugs --seeds 1000

.PHONY: collector
collector: ## Build the Collector that tests/integration/test_collector.py tries (needs Go; a few minutes)
	go run go.opentelemetry.io/collector/cmd/builder@v0.165.0 --config infra/collector/builder.yaml

.PHONY: bench
bench: compiled ## CPU time per span of the scorer, with its parts; under other loads; latencies; others beside it (some 15 minutes)
	$(BIN)/python -m tests.bench.matrix
	$(BIN)/python -m tests.bench

.PHONY: bench-alerts
bench-alerts: fresh ## False alarms and delays of the alert detector, beside others; outcomes folded a second
	$(BIN)/python -m tests.bench.alerts

.PHONY: bench-gateway
bench-gateway: fresh ## Spans per CPU second of the gateway, over HTTP and gRPC, in requests of 1, 10 and 100
	$(BIN)/python -m tests.bench.gateway

.PHONY: bench-attribution
bench-attribution: fresh ## How often the cause of an alert is named first, and how often one where there is none
	$(BIN)/python -m tests.bench.attribution

.PHONY: bench-evaluators
bench-evaluators: compiled ## How right and how fast the evaluators are, with a rival beside them (some minutes)
	$(BIN)/python -m tests.bench.evaluators

# Compiled modules hide their sources: where these were changed since, they are taken away.
.PHONY: fresh
fresh: $(STAMP)
	@$(BIN)/python infra/compile.py --stale

.PHONY: compile
compile: $(STAMP) ## Compile the hot path to C, in place (needs a C compiler; about a minute): twice as fast, the same rows
	@$(BIN)/python infra/compile.py

.PHONY: pure
pure: $(STAMP) ## Take what was compiled away: the sources run again
	@$(BIN)/python infra/compile.py --pure

.PHONY: test-compiled
test-compiled: fresh ## Compile a copy; it must keep all laws, and say row for row what the sources say (some minutes)
	$(BIN)/python -m pytest -m compiled

# For benchmarks: compiled where there is a compiler, and only where a source has changed.
.PHONY: compiled
compiled: fresh
	@[ -e schemas/compiled.json ] || $(BIN)/python infra/compile.py --if-possible

.PHONY: install
install: $(STAMP) ## Only create the environment

.PHONY: requirements
requirements: ## Pin all dependencies with hashes (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--extra local --group dev pyproject.toml -o requirements.txt
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11 \
		--group image -c requirements.txt pyproject.toml -o infra/requirements.txt

.PHONY: clean
clean: ## Stop the local stack; remove it, the environment and all caches
	@if [ -x $(BIN)/stepwatch ] && [ -e $(STAMP) ]; then $(BIN)/stepwatch down; $(BIN)/stepwatch down --data-dir .stepwatch/demo; fi
	rm -rf $(VENV) .venv-instrumentors .stepwatch .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -f stepwatch__mypyc.* schemas/compiled.json
	find schemas evaluators streams \( -name '*.so' -o -name '*.pyd' \) -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Stepwatch needs Python 3.11 or newer: install one, and name it with make PYTHON=python3.11" >&2; exit 1; }
	@if [ -e $(UNFINISHED) ] || ! $(BIN)/python -c '' 2>/dev/null; then rm -rf $(VENV); fi
	@mkdir -p $(VENV) && touch $(UNFINISHED)
	@$(AT_CTRL_C) [ -x $(BIN)/python ] || { echo "Creating the environment in $(VENV)"; $(PYTHON) $(MODULE) venv $(VENV); }
	@echo "Installing the pinned packages (the first time some hundred MB are downloaded)"
	@$(AT_CTRL_C) $(BIN)/python $(MODULE) pip install --disable-pip-version-check --progress-bar off --require-hashes \
		-r requirements.txt \
		| while read -r word what _; do case $$word in \
			Collecting) n=$$(($${n:-0} + 1)); ((n % 15)) || echo "  $$n packages found, now $$what" ;; \
			Installing) echo "  unpacking $$n packages" ;; esac; done \
		|| { echo "The packages could not be installed: check the network (a proxy goes into HTTPS_PROXY, a mirror into" \
			"pip's configuration) and the disk, then run the same command again" >&2; exit 1; }
	@echo "Installing Stepwatch itself"
	@$(AT_CTRL_C) $(BIN)/python $(MODULE) pip install --disable-pip-version-check -q --no-build-isolation --no-deps -e .
	@rm $(UNFINISHED) && touch $(STAMP)
	@echo "Installed."
