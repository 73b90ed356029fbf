# Two commands for a newcomer: `make demo` and `make test`. Everything lives in .venv; nothing else is needed.
PYTHON ?= python3
VENV   := .venv
RUN    := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(VENV)/bin/python
OUT    ?= data

.PHONY: help demo test test-all validate lint bench install clean
help:
	@echo "make demo      the low-temperature experiment on the sphere: verdict, HDF5 file and figures in $(OUT)/"
	@echo "make test      the test suite, both transform backends"
	@echo "make test-all  the same with the tests that take minutes"
	@echo "make validate  every claim of the theory as a number, in three minutes (FULL=1: under 45): figures and report.html"
	@echo "make bench     speed against the yardsticks: table, JSON and figure in $(OUT)/benchmarks"
	@echo "make lint      ruff, mypy, import-linter"

demo: install
	$(RUN) solvers/sphere_softmax.py --out "$(OUT)/sphere_softmax.h5" --figures "$(OUT)/sphere_softmax" --overwrite

test: install
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

test-all: install
	$(RUN) -m pytest

validate: install
	$(RUN) validation/run_all.py $(if $(FULL),--full) --out "$(OUT)/validation"

bench: install
	$(RUN) validation/benchmarks --out "$(OUT)/benchmarks"

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

install: $(VENV)/.installed

$(VENV)/.installed: setup.py pyproject.toml
	@.ci/make-venv "$(PYTHON)" "$(VENV)"
	$(VENV)/bin/python -m pip install -q --disable-pip-version-check -e '.[test]'
	@.ci/install-shtns "$(VENV)"
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
