# The commands of this project: `make demo` and `make test` need git, make and Python 3.11 with its venv module, no more.
# Everything is installed into .venv, each package by its hash.

VENV := .venv
PYTHON := $(VENV)/bin/python
PIP := $(PYTHON) -m pip --disable-pip-version-check --no-input --quiet
MADE := $(VENV)/.made
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev
MARKS ?= not long
# So many tests run at once; most of the slow ones wait for servers and processes. With 0 they print what they print.
JOBS ?= 4
IDENTITY := $(PYTHON) -c 'import sys; print(sys.prefix, *sys.version_info[:2])'

.PHONY: help demo test test-long lint bench bench-long lock clean

help:
	@echo 'make demo       the service with sample articles and a mailbox, on http://127.0.0.1:8000; ARGS="--bind 127.0.0.1:8001"'
	@echo 'make test       all tests except those that take minutes; ARGS="-k tokens" goes to pytest'
	@echo 'make test-long  the tests that take minutes'
	@echo 'make lint       ruff and mypy'
	@echo 'make bench      the benchmarks; ARGS="digest" runs only that one'
	@echo 'make bench-long a digest to a million readers'
	@echo 'make lock       resolve pyproject.toml anew into requirements/ (needs uv)'
	@echo 'make clean      remove the virtual environment and what tools left behind; var/ stays'

demo: $(RUN)
	@$(VENV)/bin/newsletter demo $(ARGS)

test: $(DEV)
	@$(PYTHON) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m '$(MARKS)' $(ARGS)

test-long: $(DEV)
	@$(PYTHON) -m pytest -m long $(ARGS)

lint: $(DEV)
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy

bench: $(DEV)
	@$(PYTHON) -m benchmarks $(ARGS)

bench-long: $(DEV)
	@$(PYTHON) -m benchmarks growth

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock:
	$(COMPILE) --group build pyproject.toml --output-file requirements/run.txt
	$(COMPILE) --group build --group dev pyproject.toml --output-file requirements/dev.txt

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUN): requirements/run.txt pyproject.toml | $(MADE)
	$(call install,run)

$(DEV): requirements/dev.txt pyproject.toml | $(MADE)
	$(call install,dev)

# An environment without its mark is not trusted, since packages whose installation was cut short look installed:
# the mark is away while pip works, and the next run begins with an empty environment.
define install
	@echo 'Installing requirements/$(1).txt into $(VENV) ...'
	@rm -f $(MADE)
	@$(PIP) install --require-hashes --requirement requirements/$(1).txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(IDENTITY) > $(MADE)
	@touch $@
endef

# Nor is one that was moved, or whose Python has gone or changed its version since.
ifneq ($(shell $(IDENTITY) 2>/dev/null),$(shell cat $(MADE) 2>/dev/null))
.PHONY: $(MADE) $(RUN) $(DEV)
endif

APT := $(if $(filter 0,$(shell id -u)),,sudo )apt-get install -y

$(MADE):
	@set -e; \
	for python in python3 python3.14 python3.13 python3.12 python3.11 none; do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then break; fi; \
	done; \
	if [ $$python = none ]; then \
	  if command -v python3 >/dev/null; then echo '$(APT) python3.11 python3.11-venv'; \
	  else echo '$(APT) python3 python3-venv'; fi; \
	  echo 'This command installs Python 3.11 or newer, which is missing here.'; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$(APT) $$python-venv"; \
	  echo "This command installs the venv module of $$python, which is missing here."; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version) ..."; \
	$$python -m venv --clear $(VENV)
	@$(IDENTITY) > $@
