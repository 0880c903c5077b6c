# Two commands do all the set-up: `make quickstart` and `make test`. They need Python 3.11 or newer and nothing else.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that share the tests, each of one thread.
JOBS ?= 2
INSTALL = $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: quickstart test lint format docs bench clean

quickstart: $(VENV)/.run
	$(BIN)/claver quickstart

test: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.dev
	rm -rf site
	$(BIN)/python docs/build.py site

bench: $(VENV)/.dev
	$(INSTALL) '.[bench]'
	$(BIN)/python -m benchmarks

$(VENV)/bin/pip:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) '.[train,explain]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(INSTALL) '.[train,explain,hf,real-weights,prompts,search,scale,app,export,leaderboard,clip-vocabulary,test,lint,docs]'
	@touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) runs site
