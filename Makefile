# Everything that is done to this repository has its command here; `make help` lists them.
# Needs Python 3.11 or newer and Go. The rest is installed: into .venv, into the cluster tool's cache, or by apt.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.NOTPARALLEL:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
KEEP ?=
SEEDS ?= 12
MINUTES ?= 5
EVERY ?= 8
RESUME ?=
GATES ?=
VENV := .venv
BIN := $(VENV)/bin
SYNCED := $(VENV)/.synced
CLUSTER := $(BIN)/python -m e2e.cluster
COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -q
# The systems of docs/recipes: stages of e2e/recipes/Dockerfile.
RECIPES := nginx postgresql python-systems redis spring-boot
PARTS := check chart repo mutants simulate cluster images e2e
TIMES := build/test-times
export PYTHONPATH := $(CURDIR)/operator:$(CURDIR)

.PHONY: help demo test check setup lock format lint types layers unit chart repo generate cluster images e2e \
        bench recipes simulate mutants cluster-down clean

help: ## Explain every target
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: cluster images ## The same change under load with and without StatefulRollout, on a cluster that stays up
	$(BIN)/python -m e2e.demo

test: setup ## All tests, on a real cluster too, with the time of each part; deletes the cluster it made unless KEEP=1
	@mkdir -p build
	: > $(TIMES)
	made=yes
	! $(CLUSTER) kubeconfig > /dev/null 2>&1 || made=
	finish() {
	    code=$$?
	    [ -z "$$made" ] || [ -n "$(KEEP)" ] || $(MAKE) cluster-down || code=1
	    cat $(TIMES)
	    exit $$code
	}
	trap finish EXIT
	for part in $(PARTS); do
	    SECONDS=0
	    $(MAKE) $$part || { printf '%-8s %5d s  FAILED\n' $$part $$SECONDS >> $(TIMES); exit 1; }
	    printf '%-8s %5d s\n' $$part $$SECONDS >> $(TIMES)
	done

check: lint types layers unit ## The inner loop: all that needs neither Helm nor a cluster

setup: $(SYNCED) ## Install the tools of requirements-dev.lock, and no others, into .venv

$(SYNCED): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
	    echo "$(PYTHON) must be Python 3.11 or newer: install it, or name one with PYTHON=" >&2; exit 1; }
	$(PYTHON) -c 'import ensurepip' 2> /dev/null || {
	    [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null || {
	        echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	    apt-get update -qq
	    DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes python3-venv < /dev/null; }
	[ -x $(BIN)/pip ] || $(PYTHON) -m venv $(VENV)
	[ -x $(BIN)/uv ] || {
	    sed -n '/^uv==/,/# via/p' $< > $(VENV)/uv.lock
	    $(BIN)/pip install --quiet --require-hashes --requirement $(VENV)/uv.lock; }
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python $<
	touch $@

lock: setup ## Resolve the dependencies of pyproject.toml anew into both lock files
	$(COMPILE) --group dev -o requirements-dev.lock
	$(COMPILE) -c requirements-dev.lock -o requirements.lock

format: setup ## Format the code and sort its imports
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

lint: setup ## Formatting and lint rules, without changing anything
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## Types, strictly
	$(BIN)/mypy

layers: setup ## Who may import whom
	$(BIN)/lint-imports

unit: setup ## Unit tests and whole rollouts against the simulated cluster
	$(BIN)/pytest tests/unit tests/simulation -q -n auto

chart: setup ## The chart, rendered by real Helm under every set of values
	$(BIN)/pytest tests/chart -q

repo: setup ## The repository itself: layout, what must not be in it
	$(BIN)/pytest tests/repo -q

mutants: setup ## Deliberate mistakes, each of which the simulation must notice
	$(BIN)/python -m tests.mutants

simulate: setup ## Random rollouts and crash points in simulated time: SEEDS= (0: no end) MINUTES= EVERY= (1: all) RESUME=1
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --minutes $(MINUTES) --every $(EVERY) $(if $(RESUME),--resume)

generate: setup ## Write the CRDs, the API reference and the chart's copy from the models
	mkdir -p crds docs charts/statefulrollout/files/crds
	$(BIN)/python -m statefulrollout.api.crd crds
	$(BIN)/python -m statefulrollout.api.crd --docs docs
	cp crds/*.yaml charts/statefulrollout/files/crds/

cluster: setup ## Make a Kubernetes cluster on this machine, or make sure that it is there: GATES= (feature gates, when made)
	$(CLUSTER) up $(GATES:%=--feature-gate %)

images: setup ## Build the images of the operator and of the sample application, and load them into the cluster
	base=$$($(CLUSTER) base-image)
	docker build --tag statefulrollout:dev --build-arg BASE=$$base .
	docker build --tag kvstore:dev --build-arg BASE=$$base --file e2e/kvstore/Dockerfile .
	$(CLUSTER) load statefulrollout:dev kvstore:dev

e2e: setup ## The scenarios on the real cluster: side by side, then one by one those that stop the operator
	$(BIN)/pytest e2e/scenarios -m "not operator_down" -n 3 --dist loadgroup --ignore=e2e/scenarios/recipes \
	    --durations 20
	$(BIN)/pytest e2e/scenarios -m operator_down --durations 20

bench: cluster images ## How long rollouts take and what they cost, on fake nodes, beside Kubernetes alone: N= (pods) SUITE= REPEAT= RECORD=1
	$(BIN)/python -m bench $(if $(N),--pods $(N)) $(if $(REPEAT),--repeat $(REPEAT)) $(if $(RECORD),--record) $(SUITE)

recipes: cluster images ## The systems of docs/recipes under load, with StatefulRollout and with Kubernetes alone, and the figures
	base=$$($(CLUSTER) base-image)
	for each in $(RECIPES) clients; do
	    docker build --tag recipe-$$each:dev --build-arg BASE=$$base --target $$each --file e2e/recipes/Dockerfile .
	done
	$(CLUSTER) load $(RECIPES:%=recipe-%:dev) recipe-clients:dev
	$(BIN)/pytest e2e/scenarios/recipes -n 2
	$(BIN)/python -m e2e.recipes

cluster-down: setup ## Delete the cluster
	$(CLUSTER) down

clean: ## Remove what was built and installed here; the cluster and the caches stay
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
