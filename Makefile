# Every target sets up what it needs. Wanted on the machine: Python 3.11, pip and make.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
UV := $(BIN)/uv

# No hub, no telemetry: everything here runs from the checkout alone.
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_TELEMETRY = 1
export TRL_TELEMETRY = 0
export VLLM_NO_USAGE_STATS = 1
export DO_NOT_TRACK = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help setup quickstart test test-all lint tiny clean

help:  ## these lines
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

setup: $(READY)  ## a virtual environment in .venv with exactly the pinned packages

$(READY): requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip install --quiet --python $(BIN)/python -r requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	touch $@

quickstart: $(READY)  ## the whole path on the embedded model and drawn faces; FRESH=1 starts over
	$(BIN)/python quickstart.py $(if $(FRESH),--fresh)

lint: $(READY)  ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# One thread each, and a module's tests in one process: they share what was trained for them.
test: lint  ## the checks and the quick tests, on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadscope

# These start engines and kill what runs: one after another.
test-all: test  ## the slow tests too (tens of minutes)
	$(BIN)/python -m pytest -q -m "slow and not gpu"

tiny: $(READY)  ## make the embedded model anew, into runs/tiny/weights (about an hour)
	$(BIN)/python -m facevlm.tiny.make

clean:  ## remove what was run and set up
	rm -rf runs $(VENV)
