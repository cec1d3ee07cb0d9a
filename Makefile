# make compare: install, train eleven arms on the embedded digits, write the report.   make test: install, run the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: compare docs bench precision precision-table soak cluster-250 test lint wheel clean help
.DEFAULT_GOAL := help

help:
	@echo "make compare   install, then pretraining against random initialisation on the embedded digits: table and report"
	@echo "make test      install, then the tests (DBN_DATA=folder adds those on real data sets, an installed SLURM those on it)"
	@echo "make docs      install, then pages, API reference and a gallery of pictures: docs/_site/index.html"
	@echo "make lint      install, then ruff and mypy"
	@echo "make bench     install, then measure speed beside the machine's limit and every peer: benchmarks/RESULTS.md, and GPU.md where there is one"
	@echo "make precision install, then MNIST in float32 and bfloat16, seed by seed: benchmarks/PRECISION.md"
	@echo "make precision-table  install, then float32 beside bfloat16 size by size: what precision=auto rests on"
	@echo "make soak      install, then studies killed thirty times, on a SLURM cluster of its own and on this machine: the same files in the end (ARGS=--help)"
	@echo "make cluster-250  install, then the test of a sweep on such a cluster with 250 runs in place of 22: starting Python 250 times takes 20 minutes"
	@echo "make wheel     build the package into dist/"
	@echo "make clean     remove the virtual environment, built pages and caches; results under runs/ stay"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "The packages of constraints.txt need Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment: on Debian, apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (about a minute) ..."
	@$(PIP) -e .
	@touch $@

$(VENV)/.docs: $(VENV)/.installed
	@$(PIP) -e '.[docs]'
	@touch $@

$(VENV)/.tools: $(VENV)/.installed
	@$(PIP) -e '.[test,lint]'
	@touch $@

compare: $(VENV)/.installed
	@$(BIN)/dbn-finetune sweep=compare

test: $(VENV)/.tools
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal --ignore tests/cluster $(ARGS)
	@$(BIN)/python -m pytest tests/cluster $(ARGS)

lint: $(VENV)/.tools
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(VENV)/.docs
	@$(BIN)/python docs/site/build.py $(ARGS)

bench: $(VENV)/.installed
	@$(BIN)/python benchmarks/run.py $(ARGS)
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then $(BIN)/python benchmarks/gpu.py; fi

precision: $(VENV)/.installed
	@$(BIN)/python benchmarks/precision_study.py $(ARGS)

precision-table: $(VENV)/.installed
	@$(BIN)/python benchmarks/precision_rows.py $(ARGS)

soak: $(VENV)/.tools
	@cd tests && OMP_NUM_THREADS=1 $(abspath $(BIN))/python -m cluster.soak $(ARGS)

cluster-250: $(VENV)/.tools
	@DBN_NEEDS_SLURM=1 DBN_CLUSTER_RUNS=250 $(BIN)/python -m pytest tests/cluster/test_cluster_submission.py $(ARGS)

wheel: $(VENV)/.installed
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis dist docs/_site docs/_source
