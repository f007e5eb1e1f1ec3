# Set-up and use: `make run`, `make test`. House-keeping: `make format lint types`.
PYTHON ?= python3
BIN := .venv/bin
export DO_NOT_TRACK := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.PHONY: run test ui stop format lint types check pictures

run: .venv/run.ready  ## the whole chain, from download to report
	@$(BIN)/python -m training run

test: .venv/test.ready  ## the test suite
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

ui: .venv/run.ready  ## reach or start the Prefect UI
	@$(BIN)/python -m pipelines ui --open

stop:  ## stop the Prefect server that we started
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m pipelines stop; else echo "nothing is installed, so nothing runs"; fi

format: .venv/test.ready
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: .venv/test.ready
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: .venv/test.ready
	@$(BIN)/mypy

pictures: .venv/test.ready  ## the README's pictures, from the last run
	@PYTHONPATH=. $(BIN)/python docs/pictures.py

check: .venv/run.ready  ## verify everything on disk
	@$(BIN)/python -m pipelines check

.venv/python.ready:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else "Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + "; say e.g. make run PYTHON=python3.11")'
	@echo "making .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/run.ready: requirements.lock .venv/python.ready
	@echo "installing the packages of requirements.lock (a few minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip check
	@touch $@

.venv/test.ready: requirements-dev.lock .venv/run.ready
	@echo "installing the packages of requirements-dev.lock ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	@$(BIN)/python -m pip check
	@touch $@
