# make demo: install into .venv and run the whole pipeline on embedded data.
# make test: install with the development tools, then lint, type-check and test.
# make test-slow: the few tests that take many seconds each.
PYTHON ?= python3
BIN := .venv/bin
PY := $(BIN)/python
INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
# As pip does for packages: where Python may not write bytecode, every start would compile the sources again.
COMPILE := $(PY) -m compileall -q cli exits planning profiles profiling ttamer

.PHONY: demo test test-slow lint types pytest search bench clean

demo: .venv/installed
	$(PY) -m ttamer demo

test: lint types pytest

test-slow: .venv/installed-dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal -m slow

lint: .venv/installed-dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

types: .venv/installed-dev
	$(PY) tools/link_types.py
	$(PY) -m mypy

pytest: .venv/installed-dev
	$(COMPILE) tests
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist worksteal

# The property tests on examples that nobody has seen yet; a find becomes an ordinary test.
search: .venv/installed-dev
	HYPOTHESIS_PROFILE=search OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 tests/property

# Those that need no data but what the package brings; the others say what they need.
bench: .venv/installed-dev
	for name in exploration policies solvers simulation services runtime start_up measurements; do \
	  $(PY) -m benchmarks.$$name || exit 1; done

.venv/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ttamer needs Python 3.11 or newer; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	touch $@

.venv/installed: .venv/created pyproject.toml constraints.txt
	$(INSTALL) -e .
	$(COMPILE)
	touch $@

.venv/installed-dev: .venv/created pyproject.toml constraints.txt
	$(INSTALL) -e '.[dev]'
	touch $@ .venv/installed

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
