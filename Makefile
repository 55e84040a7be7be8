# Sets up what is missing, then calls the CLI. `make help` lists the targets.
#
# Settings are environment variables (`darkroom settings` in README.md); the common ones also as make variables:
#   make up PORT=4567 INBOX=~/Pictures PRESET=labels-table

SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
DARKROOM := $(VENV)/bin/darkroom
# One environment a worker; the files of the integration suite first, because they take longest.
PARALLEL ?= -n auto --maxprocesses 4 --dist loadfile
# one LocalStack in containers serves the whole suite
ifeq ($(ENGINE),localstack)
PARALLEL :=
endif
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check --no-input

ifdef PORT
export DARKROOM_PORT := $(PORT)
endif
ifdef INBOX
export DARKROOM_INBOX := $(INBOX)
endif
ifdef PRESET
export DARKROOM_PRESET := $(PRESET)
endif
ifdef ENGINE
export DARKROOM_ENGINE := $(ENGINE)
endif
ifdef REKOGNITION
export DARKROOM_REKOGNITION := $(REKOGNITION)
endif


.PHONY: help up down status logs test test-contract test-browser test-compose test-localstack test-long test-promotion gate plan deploy lint bench clean lock format
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: $(VENV)/ready ## start everything: then drop photographs into inbox/
	@$(DARKROOM) up

down: $(VENV)/ready ## stop everything; photographs, tags and keys stay
	@$(DARKROOM) down

status: $(VENV)/ready ## what runs, and how it does
	@$(DARKROOM) status

logs: $(VENV)/ready ## the last lines of every part
	@$(DARKROOM) logs

test: $(VENV)/ready-dev ## unit and integration tests; ENGINE=localstack: the integration tests on it
	@$(VENV)/bin/python -m pytest $(if $(filter localstack,$(ENGINE)),tests/integration,$(PARALLEL)) $(PYTEST_ARGS)

test-contract: $(VENV)/ready-dev ## what we rely on in ministack, test by test
	@$(VENV)/bin/python -m pytest tests/contract $(PYTEST_ARGS)

test-browser: $(VENV)/ready-dev ## the page in a real Chromium, and attacks on the gateway (as root: apt-get installs it)
	@scripts/chromium >/dev/null
	@$(VENV)/bin/python -m pytest tests/browser $(PYTEST_ARGS)

test-compose: $(VENV)/ready-dev ## the Compose services in real containers (IMAGES=official|stand-in)
	@IMAGES=$(or $(IMAGES),auto) scripts/test-compose $(PYTEST_ARGS)

test-localstack: $(VENV)/ready-dev ## the integration tests on LocalStack in containers
	@SUITE=localstack IMAGES=$(or $(IMAGES),auto) scripts/test-compose $(PYTEST_ARGS)

test-long: $(VENV)/ready-dev ## fuzzing and other tests that take minutes
	@$(VENV)/bin/python -m pytest tests/long $(PYTEST_ARGS)

test-promotion: $(VENV)/ready-dev ## promotion to a second engine that stands in for AWS
	@$(VENV)/bin/python -m pytest tests/promotion $(PYTEST_ARGS)

gate: $(VENV)/ready-dev ## the integration suite under enforced IAM; its result opens the gate of `make deploy`
	@$(VENV)/bin/python -m pytest tests/integration -p tests.support.gate $(PYTEST_ARGS)

plan: $(VENV)/ready-dev ## what a deployment to AWS would change: make plan ENV=prod
	@scripts/deploy plan $(ENV)

deploy: $(VENV)/ready-dev ## deploy to AWS, prove it, go back if that fails: make deploy ENV=prod
	@scripts/deploy deploy $(ENV)

lint: $(VENV)/ready-dev ## format, lint, types, import rules, template, policies
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@PYTHONPATH=lambda $(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/cfn-lint template.yaml
	@$(VENV)/bin/python -m tests.support.policy_rules

format: $(VENV)/ready-dev ## put the code in its form
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

bench: $(VENV)/ready-dev ## measure the bars, beside bare ministack in the same run
	@$(VENV)/bin/python -m bench $(BENCH_ARGS)

lock: $(VENV)/ready-dev ## make the lock files anew from requirements/*.in
	@scripts/lock

clean: ## stop, and delete state and virtual environments; inbox/ stays
	@if [ -x $(DARKROOM) ]; then $(DARKROOM) reset --yes; fi
	@rm -rf .venv .venv-engine .venv-functions build .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/ready: requirements/darkroom.txt pyproject.toml
	@scripts/setup "$(PYTHON)" "Darkroom" -r requirements/darkroom.txt
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready requirements/dev.txt lambda/requirements.txt
	@scripts/setup "$(PYTHON)" "the tools for tests and lint" -r requirements/dev.txt
	@touch $@
