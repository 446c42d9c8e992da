# `make` alone lists the verbs below.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DATA   ?= headgate-data
PORT   ?= 8080

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test scaled faults soak check format bench examples reference docs lock clean

help: ## List the verbs
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Build the environment in .venv from the hashed lock

$(READY): requirements/dev.txt requirements/demo.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Headgate needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/demo.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Ingest a slice of real data by an ad hoc run (KEEP=1 leaves the service running)
	$(BIN)/python demo/flights.py $(if $(KEEP),--keep)

serve: setup ## Start the service (DATA=folder PORT=8080)
	$(BIN)/headgate serve --data $(DATA) --port $(PORT)

test: setup ## Run the tests
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

scaled: setup ## Run the acceptance tests with metadata in PostgreSQL and three workers (4 minutes)
	SCALED_OUT=1 $(BIN)/python -m pytest tests/acceptance

faults: setup ## Make every fault of the matrix (10 minutes; TABLE=file keeps what was seen)
	FAULT_TABLE=$(TABLE) $(BIN)/python -m pytest tests/faults -m fault --numprocesses 2 --dist loadfile --no-loadscope-reorder

MINUTES ?= 10
soak: setup ## Take random steps and make random faults (MINUTES=10; SEED=n repeats one)
	$(BIN)/python -m tests.faults.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

check: setup ## Lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure every goal of speed and size, beside other tools (QUICK=1: about 15 minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/bench.txt
	$(BIN)/python bench/peers.py
	$(BIN)/python bench/goals.py $(if $(QUICK),--quick)

examples: setup ## Run the examples by a real Airflow, Dagster, Prefect and Jupyter, installed for that (some minutes)
	$(BIN)/python -m tests.examples.orchestrators

reference: setup ## Write the parts of docs/reference that the code says
	$(BIN)/python -m tests.docs.reference

$(VENV)/docs/.ready: requirements/docs.txt
	$(PYTHON) -m venv $(VENV)/docs
	$(VENV)/docs/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/docs.txt
	@touch $@

docs: $(VENV)/docs/.ready ## Build the documentation into site/; a link that leads nowhere fails it
	$(VENV)/docs/bin/zensical build --clean --strict

screenshots: setup ## Take the console's main pages anew, into docs/screenshots
	$(BIN)/python -m tests.browser.screenshots

lock: setup ## Renew the hashed locks
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --group dev pyproject.toml requirements/build.in -o requirements/dev.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --constraint requirements/dev.txt --extra cloud --extra mysql --extra sftp pyproject.toml -o requirements/image.txt $(UPGRADE)
	grep '^hatchling' requirements/build.in | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --constraint requirements/dev.txt - -o requirements/wheel.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-deps --group demo -o requirements/demo.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --no-deps --group bench -o requirements/bench.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --group docs -o requirements/docs.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --group singer -o requirements/singer.txt $(UPGRADE)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate --group airbyte -o requirements/airbyte.txt $(UPGRADE)

clean: ## Remove the environment and the demo's data
	rm -rf $(VENV) site .cache headgate-demo .pytest_cache .mypy_cache .ruff_cache
