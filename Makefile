# Two commands for a new machine: `make demo` and `make test`. Both make .venv themselves.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= data/demo

.PHONY: setup demo test check format

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 was not found, and Blender's module (bpy) has wheels for no other."; \
	  echo "Install it (and its venv module), or give: make $@ PYTHON=/path/to/python3.11"; exit 2; }
	@echo "making $(VENV): about 3 GB of packages (torch with CUDA), a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[render,bench,dev]'
	@touch $@

demo: setup
	$(BIN)/3die render --classes all --limit 6 --views 10 --size 128 --out $(DEMO)
	$(BIN)/3die verify $(DEMO)
	$(BIN)/3die view $(DEMO)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup
	$(BIN)/python -m pytest

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
