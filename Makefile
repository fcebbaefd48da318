# make demo | test | check | pictures | figures | bench: each makes its own environment in .venv first

PYTHON ?= python3
BIN := .venv/bin

# Python compiles a file when it is first imported, and keeps that, whatever the surroundings say. To compile all of torch
# and sympy at installation would take a minute, and to compile anew in each of the suite's processes takes longer. What
# the command imports is compiled with the installation, quietly: POT's code has warnings.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check pictures figures bench clean

demo: .venv/ready
	@echo 'In this shell the command is $(BIN)/wgan; or, first: . $(BIN)/activate'
	$(BIN)/wgan train digits --time 2m

test: .venv/ready
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/ready
	$(BIN)/ruff format
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist loadfile -q -m "not slow"

pictures: .venv/ready
	$(BIN)/python scripts/make_pictures.py

figures: .venv/ready
	$(BIN)/python scripts/make_figures.py

bench: .venv/ready
	$(BIN)/python -m bench

clean:
	rm -rf .venv build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wgan needs Python 3.11 or newer, and $(PYTHON) is older; name one: make $(MAKECMDGOALS) PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev]"
	@$(BIN)/python -W ignore -c "import ot, matplotlib.figure, wgan.loop, wgan.compare"
	touch $@
