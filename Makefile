# `make` alone checks everything; `make run` does the main job; each builds the virtual environment it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SHARED_DATA ?= ../shared/data

.PHONY: all run serve test lint types format docs conformance bench chaos soak fuzz mutants lock clean

all: lint types test

# --no-deps: the lock is complete, and older pips look for newer releases of what it pins (`pydantic[email]`).
$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: $(READY) ## local router, two workers, real workflows through Vast's own client; COMFYUI=URL for a real ComfyUI
	$(BIN)/comfy-worker demo $(if $(COMFYUI),--comfyui $(COMFYUI)) --out out

serve: $(READY) ## one worker on its own, with the embedded engine
	$(BIN)/comfy-worker serve

test: $(READY)
	$(BIN)/pytest -n 3 -q

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## writes docs/workflows.md from workflows/
	$(BIN)/python docs/make_workflows.py > docs/workflows.md.new
	mv docs/workflows.md.new docs/workflows.md

conformance: $(READY) ## the recorded sessions and verdicts of a real ComfyUI, replayed against the embedded engine
	SHARED_DATA=$(SHARED_DATA) $(BIN)/pytest -n 3 -q -m conformance tests/conformance

bench: $(READY) ## writes docs/benchmarks.md
	$(BIN)/python -m bench

chaos: $(READY) ## every fault with jobs in flight, in four ways to ask
	$(BIN)/python -m chaos matrix $(if $(SHORT),--short)

soak: $(READY) ## thousands of jobs of all kinds, with faults; nothing lost, nothing grows
	$(BIN)/python -m chaos soak $(if $(SHORT),--short)

fuzz: $(READY) ## generated requests on every route
	$(BIN)/python -m chaos fuzz $(if $(SHORT),--short)

mutants: $(READY) ## each cure of a trap taken away: its test has to notice
	$(BIN)/python -m chaos.mutants $(if $(SHORT),--every 6)

COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --quiet

lock: $(READY) ## writes requirements.lock and locks/worker.lock; UPGRADE=1 takes the newest versions
	cp requirements.lock requirements.lock.old
	$(COMPILE) --all-extras $(if $(UPGRADE),--upgrade) --output-file requirements.lock.old
	{ echo "# One lock for every extra on Python 3.11 and newer. Made by \`make lock\`; do not edit."; \
	  cat requirements.lock.old; } > requirements.lock.new
	mv requirements.lock.new requirements.lock
	rm requirements.lock.old
	{ echo "# The worker in an image: extras vast and s3, at requirements.lock's versions. Made by \`make lock\`; do not edit."; \
	  $(COMPILE) --extra vast --extra s3 --constraints requirements.lock; } > locks/worker.lock.new
	mv locks/worker.lock.new locks/worker.lock

clean:
	rm -rf $(VENV) .state out .mypy_cache .ruff_cache .pytest_cache .hypothesis
