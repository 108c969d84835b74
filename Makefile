# The two commands are `make run` and `make test`; each sets itself up. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SAM := .venv-sam/bin/sam
ONLY ?=

.PHONY: run test check soak bench sam-check clean help
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip==26.3 setuptools==84.2.1 wheel==0.48.0
	$(BIN)/pip install --quiet --requirement requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: $(READY) ## an AWS account on this laptop and a drama in four acts, about ten minutes
	$(BIN)/understudy demo

test: $(READY) sam-check check ## everything a laptop can prove
	$(BIN)/pytest -n 2 --dist loadfile tests/contract tests/journey

check: $(READY) ## lint, types, unit tests and the house rules, in under two minutes
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy cli local_account simulator benchmarks layers/understudy/python/understudy model_code
	$(BIN)/pytest tests/unit tests/machine tests/contract/test_house.py tests/contract/state_machines

soak: $(READY) ## what is too slow for `make test`: many seeds, long races
	UNDERSTUDY_SOAK=1 $(BIN)/pytest --timeout 3600 tests

bench: $(READY) ## measure what the issue promises; ONLY=name for one; writes build/bench.json
	$(BIN)/python -m benchmarks $(ONLY)

$(SAM):
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/pip install --quiet aws-sam-cli==1.170.0

sam-check: $(SAM) ## what AWS's own tools say of template.yaml
	SAM_CLI_TELEMETRY=0 $(SAM) validate --lint --region us-east-1

clean: ## stop the local account and remove what was built (not the two environments)
	-@[ -x $(BIN)/understudy ] && $(BIN)/understudy down 2>/dev/null
	rm -rf .understudy .aws-sam build
