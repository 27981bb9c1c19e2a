# Two commands do everything: `make demo` and `make test`. Both make .venv first, from this project's own files.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test matrix bench docs dist clean

VENV := .venv
BIN := $(VENV)/bin
# A stamp is remade only when pyproject.toml changes: a second `make` starts at once.
FOR_USE := $(VENV)/.installed-for-use
FOR_WORK := $(VENV)/.installed-for-work

DEMO_DIR ?= demo
SCAN ?=
FULL ?=

# The newest Python that can make a virtual environment; override with `make PYTHON=/path/to/python3 …`.
PYTHONS := python3.14 python3.13 python3.12 python3.11 python3
CAN_SERVE := import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(PYTHONS); do if $$name -c '$(CAN_SERVE)' 2>/dev/null; then echo $$name; break; fi; done)

help:  ## Show this list
	@echo "friedel: from a raw rocking scan to a 3D image with its strain and its quality"
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16
	@echo
	@echo "  make demo SCAN=plans/aps34idc_scan54.yaml   reconstructs a scan of your own, by its plan"

$(BIN)/python:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "No Python 3.11 or newer with venv found (tried: $(PYTHONS))." >&2; \
	  echo "Install one (Debian: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3 …" >&2; \
	  exit 1; \
	fi
	@echo "== Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV)

$(FOR_USE): pyproject.toml | $(BIN)/python
	@echo "== Installing friedel and what it needs (some minutes, the first time only)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all]'
	@touch $@

$(FOR_WORK): pyproject.toml | $(BIN)/python
	@echo "== Installing friedel, its checks and its peers (some minutes, the first time only)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[all,atoms,dev,docs,peers,test]'
	@touch $@ $(FOR_USE)

demo: $(FOR_USE)  ## Simulate single hits and a rocking scan, classify, reconstruct, leave reports in demo/
ifeq ($(SCAN),)
	@$(BIN)/friedel demo -o $(DEMO_DIR)
else
	@$(BIN)/friedel reconstruct $(SCAN) -o $(DEMO_DIR)
endif

test: $(FOR_WORK)  ## Check style, types, layers and docs, then run every test
	@echo "== ruff: style"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@echo "== mypy: types"
	@$(BIN)/mypy
	@echo "== import-linter: layers"
	@$(BIN)/lint-imports --no-cache
	@echo "== mkdocs: documentation"
	@FRIEDEL_TUTORIALS=kept NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet
	@echo "== pytest: tests, a worker a core; then those that wait for other processes"
	@$(BIN)/python -m pytest -n auto --dist loadfile -m "not alone"
	@$(BIN)/python -m pytest -m alone

matrix: $(FOR_WORK)  ## Run the tests under other arithmetic, Pythons and the lowest versions (hours)
	@$(BIN)/python tests/matrix.py

bench: $(FOR_WORK)  ## Run the benchmarks, reduced (FULL=1: whole); each prints its bar
	@for file in $$(grep -l __main__ benchmarks/*.py); do \
	  echo "== $$file"; $(BIN)/python "$$file" $(if $(FULL),,--quick); \
	done

docs: $(FOR_WORK)  ## Build the documentation into site/
	@NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict

dist: $(FOR_WORK)  ## Build wheel and source into dist/, check them, and use the wheel in an empty environment
	@rm -rf dist
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'build>=1.2,<2' 'twine>=5,<7'
	@$(BIN)/python -m build --outdir dist
	@$(BIN)/python -m twine check --strict dist/*
	@$(BIN)/python tests/release/try_wheel.py dist

clean:  ## Remove what was built; demo/ and your results stay
	@rm -rf $(VENV) site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
