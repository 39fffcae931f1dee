# `make run` and `make test` do all their own set-up; the second time they are quick.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run stop test lint fmt bench lock clean

run: $(VENV)/.run-ready
	@exec $(BIN)/python -m config.embedded run

stop:
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m config.embedded stop; fi

test: $(VENV)/.dev-ready
	@$(BIN)/python -m pytest --numprocesses 2 $(ARGS)

lint: $(VENV)/.dev-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	find templates -name '*.html' -print0 | xargs -0 $(BIN)/djade --check --target-version 5.2
	$(BIN)/python -m config.embedded start
	DJANGO_SETTINGS_MODULE=config.settings.test $(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python -m config.check_deploy

fmt: $(VENV)/.dev-ready
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	find templates -name '*.html' -print0 | xargs -0 $(BIN)/djade --target-version 5.2

bench: $(VENV)/.dev-ready
	@$(BIN)/python -m benchmarks $(ARGS)

lock: $(VENV)/bin/uv
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements.txt requirements.in
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements-dev.txt requirements-dev.in

clean: stop
	rm -rf $(VENV) .local

$(VENV)/bin/uv:
	@command -v $(PYTHON) >/dev/null || { echo "Parlor needs Python 3.11 ($(PYTHON) was not found)."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.run-ready: requirements.txt | $(VENV)/bin/uv
	@echo "Installing what Parlor needs (once)…"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.dev-ready: requirements.txt requirements-dev.txt | $(VENV)/bin/uv
	@echo "Installing what tests and lint need (once)…"
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.run-ready
