# Two commands: `make demo` shows the main job, `make test` runs everything that must hold.
.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
PACKAGES := orthanc orthanc-dicomweb dcmtk dicom3tools pixelmed-apps default-jre-headless \
	poppler-utils chromium npm openssl postgresql systemd
# torch comes first and by its exact version: what depends on it then keeps the build that is there.
TORCH := torch==2.13.0
# Tests run in two processes; a file stays in one of them, and each computes with one thread.
# Those that start servers wait more than they compute: on a quiet machine a third process fits in.
JOBS ?= 2
SLOW_JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -rfEs --dist loadfile

export OMP_NUM_THREADS ?= 2

.PHONY: help demo test checks format lint types contracts fast slow viewer tidy debian clean

help: ## what can be asked for
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile

demo: $(VENV)/.ready ## synthetic study in, report out: see out/demo
	$(BIN)/python examples/demo.py --out out/demo

test: debian viewer checks fast slow ## everything that must hold

checks: format lint types contracts ## the gates that only read the code

format: $(VENV)/.ready
	$(BIN)/ruff format --check .

lint: $(VENV)/.ready
	$(BIN)/ruff check .

types: $(VENV)/.ready
	$(BIN)/mypy

contracts: $(VENV)/.ready
	$(BIN)/lint-imports

fast: $(VENV)/.ready ## the tests that take seconds
	$(PYTEST) -n $(JOBS) -m "not slow and not fault and not e2e"

slow: $(VENV)/.ready ## the tests that take longer, break things, or start real servers
	$(PYTEST) -n $(SLOW_JOBS) -m "slow or fault or e2e"

tidy: $(VENV)/.ready ## format the code and mend what can be mended
	$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

debian:
	@sh tools/debian_packages.sh $(PACKAGES)

viewer: ## the viewer that the tests in a browser open
	@sh tools/viewer.sh build/viewer

$(BIN)/python:
	sh tools/create_venv.sh $(VENV)

$(VENV)/.ready: $(BIN)/python constraints.txt pyproject.toml
	$(PIP) install --constraint constraints.txt "$(TORCH)"
	$(PIP) install --constraint constraints.txt setuptools
	$(PIP) install --constraint constraints.txt --no-build-isolation --editable ".[train,test]"
	@touch $@

clean: ## remove what was made here
	rm -rf $(VENV) out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
