# Everything a fresh machine needs is made by these targets: Python 3.11 or newer, git, make and a package index.
PYTHON ?= python3
VENV ?= .venv
# One process more than there are cores: many tests wait for servers of theirs.
TEST_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
BIN := $(VENV)/bin
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header

.PHONY: check test demo bench docs constraints clean

$(BIN)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Towpath needs Python 3.11 or newer; $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement constraints.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

check: $(BIN)/.ready ## lint, formatting, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: $(BIN)/.ready ## all tests but the slow ones of `make bench`
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal || { echo 'Once more, alone: what failed beside others.'; $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

demo: $(BIN)/.ready ## the whole way from a new image to production, on this machine
	@$(BIN)/python -m examples.demo

bench: $(BIN)/.ready ## how fast it is; BENCH="--quick promotion" chooses
	$(BIN)/python -m bench $(BENCH)

docs: $(BIN)/.ready ## rewrite what programs write of docs/
	$(BIN)/python -m starter.reference
	$(BIN)/python -m starter.refusals
	$(BIN)/python -m worker.reference
	$(BIN)/python -m activities.steps.reference
	$(BIN)/python -m web.api.reference

# Versions and hashes for every platform: of all that developing needs, and of what the image is made of.
constraints: $(BIN)/uv ## rewrite constraints.txt and constraints-runtime.txt from pyproject.toml; UPGRADE=--upgrade for newer versions
	$(COMPILE) $(UPGRADE) --group dev --output-file constraints.txt pyproject.toml
	$(COMPILE) $(UPGRADE) --constraint constraints.txt --no-annotate --output-file constraints-runtime.txt pyproject.toml

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.8,<1"

clean:
	rm -rf $(VENV) build dist
