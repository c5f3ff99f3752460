# `make run` starts the service on this machine, `make test` runs all that CI checks.

PYTHON ?= python3
PORT ?= 8000
# Processes that run tests side by side: one more than there are cores, for tests wait for servers.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() + 1)')
# More words for the command behind `make run` and `make bench`, such as ARGS=--no-demo.
ARGS ?=
# A stage of infra/stages.toml.
STAGE ?= dev

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help install run test lint format bench requirements release-openapi package deploy outputs destroy

help:
	@echo 'make install       put everything into $(VENV)/'
	@echo 'make run           start the service on 127.0.0.1:$(PORT)'
	@echo 'make test          check and test everything'
	@echo 'make lint          check without testing'
	@echo 'make format        format the code'
	@echo 'make bench         measure'
	@echo 'make package       leave the template of STAGE ($(STAGE)) and its zip in build/package/'
	@echo 'make deploy        package STAGE, and bring it to AWS'
	@echo 'make outputs       tell the names of what STAGE has on AWS'
	@echo 'make destroy       take STAGE off AWS'
	@echo 'make requirements  pin what the deployed function needs'
	@echo 'make release-openapi  keep the description of the API as that of this version'

install: $(INSTALLED)

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[local,test]'
	touch $@

run: install
	$(BIN)/usage-tab serve --port $(PORT) $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/interrogate --quiet chalicelib infra tests

# The servers that tests start are up sooner with modules that are compiled already.
test: export PYTHONDONTWRITEBYTECODE :=
test: lint
	$(BIN)/pytest --numprocesses $(WORKERS) --dist worksteal --cov=chalicelib

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install
	$(BIN)/python -m tests.bench $(ARGS)

release-openapi: install
	$(BIN)/python -m tests.releases

# ARGS=--at-once lets all calls go to the new version, whatever alarms say.
package: install
	$(BIN)/python -m infra.package --stage $(STAGE) $(ARGS)

# CONFIRM=--replace-data allows replacing or removing what holds data.
deploy: package
	$(BIN)/python -m infra.deploy deploy --stage $(STAGE) $(CONFIRM)

outputs: install
	$(BIN)/python -m infra.deploy outputs --stage $(STAGE)

# ARGS=--yes does not ask.
destroy: install
	$(BIN)/python -m infra.deploy destroy --stage $(STAGE) $(ARGS)

# Chalice is not among them: it adds its own runtime to the package. UPGRADE=--upgrade takes newer versions.
requirements: install
	$(BIN)/python -c 'import tomllib; \
	  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	  print(*(line for line in project["dependencies"] if not line.startswith("chalice")), sep="\n")' \
	| CUSTOM_COMPILE_COMMAND='make requirements' $(BIN)/pip-compile --quiet --strip-extras --no-annotate \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(UPGRADE) --output-file requirements.txt -
