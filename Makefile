# Two commands for a new machine: `make demo` and `make test`. Both make .venv themselves.
# `make ladder` and `make small` are the studies of docs/results.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= data/demo
RUNS ?= runs
STUDY_SEEDS ?= 0,1

.PHONY: setup demo test check format ladder small

setup: $(VENV)/.done

$(VENV)/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	  echo "Python 3.11 was not found, and Blender's module (bpy) has wheels for no other."; \
	  echo "Install it (and its venv module), or give: make $@ PYTHON=/path/to/python3.11"; exit 2; }
	@echo "making $(VENV): about 3 GB of packages (torch with CUDA), a few minutes"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[render,bench,cluster,share,report,dev]'
	@touch $@

# The page lies beside $(RUNS)/demo and not in it: $(RUNS)/demo/* names runs only, the second time too.
demo: setup
	$(BIN)/3die render --classes all --limit 6 --views 10 --size 128 --out $(DEMO)
	$(BIN)/3die verify $(DEMO)
	$(BIN)/3die view $(DEMO)
	$(BIN)/3die bench --method sie --preset smoke --data $(DEMO) --out $(RUNS)/demo
	$(BIN)/3die compare $(RUNS)/demo/*
	$(BIN)/3die report $(RUNS)/demo/* --data $(DEMO) --out $(RUNS)/demo.html

# The two studies of docs/results: each renders its data, trains every method, prints its table.
LADDER_METHODS = random,supervised,vicreg,vicreg-part,simclr,augself,sen,equimod,equimod-vicreg,sie,sie-novar,sie-equi
ladder: setup
	$(BIN)/3die render --recipe yaw --classes all --limit 50 --views 20 --size 64 --out data/yaw64
	$(BIN)/3die bench --method $(LADDER_METHODS) --preset ladder --seeds $(STUDY_SEEDS) --data data/yaw64 --out $(RUNS)/ladder
	$(BIN)/3die compare $(RUNS)/ladder/* --out docs/results/ladder.csv

small: setup
	$(BIN)/3die render --classes all --limit 64 --views 20 --size 64 --out data/small64
	$(BIN)/3die bench --method all --preset study-small --seeds $(STUDY_SEEDS) --data data/small64 --out $(RUNS)/small
	$(BIN)/3die compare $(RUNS)/small/* --out docs/results/small.csv

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: setup
	$(BIN)/python -m pytest

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
