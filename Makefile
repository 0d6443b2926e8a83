# `make verify` and `make test` work from a fresh clone: the set-up is a dependency of both.

PYTHON ?= python3
JOBS ?= 2

VENV  := .venv
PY    := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help setup verify test bench clean

help:
	@echo "make verify   set up, then check the claims in proofs/"
	@echo "make test     set up, then ruff, mypy and pytest (doctests and notebooks included)"
	@echo "make bench    set up, then measure: against peers, at scale, and soundness (about two hours)"
	@echo "make setup    only the set-up, in $(VENV)/ (PYTHON=python3.12 chooses the interpreter)"
	@echo "make clean    remove caches and build products; $(VENV)/ stays"

setup: $(STAMP)

# `python -m` throughout: it runs the code of this checkout even when the checkout was moved or copied with its $(VENV)/.
verify: $(STAMP)
	$(PY) -m tensoralg verify proofs/

test: $(STAMP)
	@echo "== ruff: style and common mistakes"
	$(PY) -m ruff check .
	@echo "== mypy: types, strict"
	$(PY) -m mypy tensoralg
	@echo "== pytest: tests, doctests, notebooks"
	$(PY) -m pytest -n $(JOBS) --dist worksteal

bench: $(STAMP)
	$(PY) benchmarks/identities.py
	$(PY) benchmarks/plans.py
	$(PY) benchmarks/networks.py --budget 5 --workers
	$(PY) benchmarks/refutation.py
	$(PY) benchmarks/scale.py
	$(PY) benchmarks/streams.py
	$(PY) benchmarks/operators.py
	$(PY) benchmarks/soundness.py --cases 100000 --jobs 2
	$(PY) benchmarks/soundness.py --corruptions 10000

clean:
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# A venv whose making failed half-way has a python but no pip, hence the question for both.
$(STAMP): pyproject.toml constraints.txt
	@if ! $(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  command -v $(PYTHON) >/dev/null || { \
	    echo "error: there is no '$(PYTHON)'. Install Python 3.11 or newer, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "error: tensoralg needs Python 3.11 or newer, '$(PYTHON)' is $$($(PYTHON) --version 2>&1)." >&2; \
	    echo "remedy: name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
	  echo "== set-up: $(PYTHON) -m venv $(VENV)"; \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	    echo "error: '$(PYTHON) -m venv' failed." >&2; \
	    echo "remedy, on Debian and Ubuntu: apt-get install python3-venv python3-pip" >&2; exit 1; }; \
	fi
	@$(PY) -c 'import sys, importlib.util as u; sys.exit(u.find_spec("torch") is None)' \
	  || echo "== set-up: torch is not there yet; fetching it and the rest takes a few minutes, once"
	$(PY) -m pip install --disable-pip-version-check --progress-bar off -e '.[dev]' -c constraints.txt
	@touch $@
