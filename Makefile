# The commands of the repository; flags travel as ARGS: make up ARGS="--detach --scale 10".
# The environment is .venv, the running platform's state .masterops; both can be removed at any time.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
ARGS ?=
BIN := .venv/bin
# Every program here imports a thousand modules: without bytecode files each start takes twice as long.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up down setup test chaos bench contract-n8n lint format typecheck check lock clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: setup ## start everything, do the first load, stay until Ctrl-C
	@exec $(BIN)/masterops up $(ARGS)

down: setup ## stop everything
	@exec $(BIN)/masterops down $(ARGS)

setup: ## .venv as requirements.lock says, and dbt's manifest
	@PYTHON="$(PYTHON)" bash .ci/setup

test: setup ## the tests; four at a time even on two cores, since half of a test's time is waiting
	@exec $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder -m "not chaos" $(ARGS)

chaos: setup ## the long fault tests
	@exec $(BIN)/pytest -m chaos $(ARGS)

bench: setup ## the claims about speed, measured; an hour: make bench ARGS="whole_path --json"
	@exec $(BIN)/python -m benchmarks $(ARGS)

contract-n8n: setup ## the connector and the stand-in against a real n8n; needs npm, installs 3 GB into the user's cache
	@exec $(BIN)/pytest -m "real_n8n or not real_n8n" --timeout 1800 tests/contract/test_n8n_servers.py $(ARGS)

lint: setup ## style and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

format: setup ## rewrite to style
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

typecheck: setup ## mypy, strict
	@exec $(BIN)/mypy

check: lint typecheck test ## everything that CI runs

lock: setup ## resolve requirements.lock anew: universal, with hashes, without index URLs
	@PATH="$$PATH:$(BIN)" uv pip compile --universal --generate-hashes --no-emit-index-url --no-header \
		--extra dev --upgrade --quiet --output-file requirements.lock pyproject.toml

clean: ## stop everything, then remove .venv, the state and what tools cached
	@if [ -x $(BIN)/masterops ]; then $(BIN)/masterops down; fi
	rm -rf .venv .masterops .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -rf dbt_project/target dbt_project/logs
