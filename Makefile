# Needs python3 (3.11 or newer, with its venv module), make and git; everything else goes into .venv.
PYTHON ?= python3
LAB ?= lab
BIN := .venv/bin
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt \
  --build-constraint constraints.txt

# Tests that measure on this machine, or share a lab, run one after the other; all others two at a time, by file. Of the
# slow ones, some that measure do not mind who does so beside them.
PYTEST = $(BIN)/python -m pytest
TWO := --numprocesses=2 --dist=loadfile
ALONE := tests/web tests/e2e tests/tasks
BESIDE_SLOW := $(patsubst %,tests/e2e/test_%.py,backup database service)
ALONE_SLOW := tests/tasks $(filter-out $(BESIDE_SLOW),$(wildcard tests/e2e/test_*.py))

# The Python of .venv is $(PYTHON); uv must not fetch another.
export UV_PYTHON_DOWNLOADS = never
# Whatever environment is active in the calling shell, ours is .venv.
unexport VIRTUAL_ENV

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up test test-slow lint types lock dist clean
.PHONY: bench-api bench-build bench-measure bench-publish bench-queue bench-results bench-verdicts

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

$(BIN)/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt uv

# Two stages, so that a demo need not wait for what only a developer wants.
$(BIN)/.installed: pyproject.toml constraints.txt | $(BIN)/uv
	$(INSTALL) --editable '.[all]'
	touch $@

$(BIN)/.installed-dev: $(BIN)/.installed
	$(INSTALL) --group dev
	touch $@

demo: $(BIN)/.installed ## Show the lab at work: start one, measure, compare, take it down
	$(BIN)/python -m benchyard.lab.demo

up: $(BIN)/.installed ## Keep a lab running in the folder LAB (default: lab), made at first
	test -e '$(LAB)' || $(BIN)/benchyard lab init '$(LAB)'
	$(BIN)/benchyard lab up '$(LAB)'

test: lint types ## Lint, check the types, run the tests (all but the slow ones)
	$(PYTEST) -m "not slow" $(TWO) $(addprefix --ignore=,$(ALONE))
	$(PYTEST) -m "not slow" $(ALONE)

test-slow: $(BIN)/.installed-dev ## Run the tests that take minutes
	$(PYTEST) -m slow $(TWO) $(addprefix --ignore=,$(ALONE_SLOW))
	$(PYTEST) -m slow $(ALONE_SLOW)

bench-queue: $(BIN)/.installed-dev ## Measure the queue with 10 to 10,000 jobs, beside stock Buildbot
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_queue.py

bench-build: $(BIN)/.installed-dev ## Measure what building costs the host that measures
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_build.py

bench-measure: $(BIN)/.installed-dev ## Measure what the lab does to the values, beside plain pyperformance
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_measure.py

bench-publish: $(BIN)/.installed-dev ## Measure uploads to a real codespeed, beside a plain loop of posts
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_publish.py

bench-api: $(BIN)/.installed-dev ## Measure the latency of the REST interface with few and many rows
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_api.py

bench-results: $(BIN)/.installed-dev ## Measure comparing beside pyperf and bench_runner, import, series and lists
	PYTHONPATH=tests/support $(BIN)/python tests/bench/bench_results.py

bench-verdicts: $(BIN)/.installed-dev ## Measure false alarms and detection of comparisons, beside pyperf and bench_runner
	$(BIN)/python tests/bench/bench_verdicts.py

lint: $(BIN)/.installed-dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.installed-dev ## Check the types
	$(BIN)/mypy

lock: $(BIN)/uv ## Take the newest versions of all dependencies into constraints.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --all-extras --group dev \
	  --no-emit-index-url --no-emit-find-links --no-header --no-annotate \
	  --output-file constraints.txt pyproject.toml

dist: $(BIN)/.installed-dev ## Build the sdist and the wheel into dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

clean: ## Remove what make and the tools made, but no lab
	rm -rf .venv .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find master workers steps plugins client tests -name __pycache__ -type d -prune -exec rm -rf {} +
