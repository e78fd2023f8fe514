# `make` checks everything, and `make run` runs a demo. Each target creates the virtual environment that it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SHARED_DATA ?= ../shared/data
# The versions of RunPod's SDK that the tests use.
SDKS := 1.11 1.12
NPM := clients/typescript
NPM_READY := $(NPM)/node_modules/.package-lock.json
# locks/worker.lock has only the worker's own packages, without tools, which is enough to deploy.
LOCK ?= requirements.lock

IMAGE ?= comfy-worker:dev
# Docker if it is installed, or else Buildah.
CONTAINERS ?= $(if $(shell command -v docker),docker,buildah)
BUILD_ARGS := BASE_IMAGE PYTHON PACK_GROUPS MODELS TORCH REQUIREMENTS RUN_AS

# If it were set, as in many images, every process of the tests would compile all modules again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: all run serve test runpod-sdks npm-packages proxy-test typescript test-tools coverage lint types format docs conformance real bench bench-load bench-fleet bench-handlers bench-runpod bench-proxy chaos soak soak-runpod fuzz mutants lock wheel clean
.PHONY: image image-tools image-test image-sizes push deploy smoke

all: lint types test

# --no-deps, because the lock is complete, and older versions of pip look for newer releases of pinned packages.
$(READY): $(LOCK) pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(LOCK)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# RunPod's SDK excludes Vast's, and two of its versions are tested: each has a virtual environment of its own.
$(VENV)/runpod/%/.ready: locks/runpod-%.lock $(READY)
	$(PYTHON) -m venv $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps --require-hashes -r $<
	touch $@

# The tools of the npm package, and RunPod's and Modal's npm clients for the tests.
$(NPM_READY): $(NPM)/package-lock.json
	cd $(NPM) && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

run: $(READY) ## demo: local router, two workers, real workflows through Vast's own client; ON=modal, ON=runpod, ON=proxy or ON=none for another platform, COMFYUI=URL uses a real ComfyUI, GPUS=4 starts one worker with four engines and kills one
	$(BIN)/comfy-worker demo $(if $(ON),--on $(ON)) $(if $(COMFYUI),--comfyui $(COMFYUI)) $(if $(GPUS),--workers 1 --gpus $(GPUS) --kill-one) \
	  --out out

serve: $(READY) ## start one worker with the embedded engine
	$(BIN)/comfy-worker serve

test: $(READY) ## all tests; needs only Python, and skips tests whose tools are not installed
	-$(MAKE) --no-print-directory runpod-sdks
	ci/tests.sh 5

runpod-sdks: $(SDKS:%=$(VENV)/runpod/%/.ready) ## RunPod's SDKs for the tests, each in .venv/runpod/VERSION; takes about 20 s

npm-packages: $(NPM_READY) ## the npm packages that $(NPM)/package-lock.json pins

proxy-test: $(READY) ## the suite that all backends pass, and the proxy in front of them: kills, fallbacks, restarts, the split of two sides
	-$(MAKE) --no-print-directory runpod-sdks
	ci/tests.sh 2 tests/backends tests/proxy

typescript: $(READY) $(NPM_READY) ## build, check, pack (into dist/) and test the npm package of clients/typescript
	mkdir -p dist
	cd $(NPM) && npm pack --pack-destination ../../dist && npm run check
	ci/tests.sh 2 tests/clients/typescript --require-tools

test-tools: $(READY) ## the tests that need other tools than Python; fails if one is missing (ci/tools.sh installs them)
	ci/tests.sh 2 -m "tools and not image" --require-tools

coverage: $(READY) ## the tests, with branch coverage of the worker in all processes; fails below the limit in pyproject.toml
	-$(MAKE) --no-print-directory runpod-sdks
	$(BIN)/pytest -n 4 --dist worksteal -q --timeout 60 --cov --cov-report term:skip-covered

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## write docs/workflows.md, docs/settings.md, docs/flow.svg, the help of each command in docs/cli.md, the prices for handlers, and the dashboard
	$(BIN)/python docs/make_workflows.py > docs/workflows.md.new
	mv docs/workflows.md.new docs/workflows.md
	$(BIN)/python docs/make_settings.py > docs/settings.md.new
	mv docs/settings.md.new docs/settings.md
	$(BIN)/python docs/draw_flow.py > docs/flow.svg
	$(BIN)/python docs/make_reuse.py
	$(BIN)/python docs/make_cli.py
	$(BIN)/python docs/make_typescript.py
	if [ -d $(NPM)/node_modules ]; then cd $(NPM) && npm run generate; fi
	$(BIN)/python docs/make_pricing.py
	$(BIN)/python -m monitoring > monitoring/grafana/comfy-worker.json.new
	mv monitoring/grafana/comfy-worker.json.new monitoring/grafana/comfy-worker.json

conformance: $(READY) ## replay the recorded sessions and verdicts of a real ComfyUI against the embedded engine
	SHARED_DATA=$(SHARED_DATA) ci/tests.sh 3 -m conformance tests/conformance

real: $(READY) ## run about 240 prompts on a real ComfyUI, COMFYUI=FOLDER with main.py, custom_nodes/ and .venv/; MODELS=FOLDER for more models, CLIENTS=FOLDER for ComfyUI's examples with a WebSocket, ARGS="--cpu"; writes docs/compatibility.md
	$(BIN)/python -m real $(COMFYUI) $(if $(MODELS),--models $(MODELS)) $(if $(ARGS),--arguments="$(ARGS)") $(if $(ONLY),--only "$(ONLY)") $(if $(RECORD),--record $(RECORD)) $(if $(wildcard $(SHARED_DATA)/wild),--prompts $(SHARED_DATA)/wild)
	REAL_COMFYUI=$(COMFYUI) COMFYUI_CLIENTS=$(CLIENTS) $(BIN)/pytest -q tests/real/test_sandbox.py tests/real/test_script_examples.py tests/real/test_runpod.py

bench: $(READY) ## measure, and write docs/benchmarks.md
	$(BIN)/python -m bench

bench-load: $(READY) ## measure the accuracy of predicted seconds and of the reported load, and write docs/load.md; PARTS="mixed overhead", COMFYUI=FOLDER, MODELS=FOLDER, POINTS=FILE, TRACE=FILE
	$(BIN)/python -m bench.load $(PARTS) $(if $(SHORT),--short) $(if $(COMFYUI),--comfyui $(COMFYUI)) $(if $(MODELS),--models $(MODELS)) $(if $(POINTS),--points $(POINTS)) $(if $(TRACE),--trace $(TRACE))

bench-fleet: $(READY) ## compare the simulation of fleets with queueing theory, measure its speed, choose what workers report, and write docs/fleet.md; PARTS="theory reports"
	$(BIN)/python -m bench.fleet $(PARTS) $(if $(SHORT),--short)

bench-handlers: $(READY) ## measure what a call of a handler adds to the same prompt by /generate/sync
	$(BIN)/python -m bench.handlers $(if $(SHORT),--short)

bench-runpod: $(READY) ## measure how long ComfyUI is idle between two jobs of RunPod's queue, also with RunPod's SDK if `make runpod-sdks` has installed it
	$(BIN)/python -m bench.runpod $(if $(SHORT),--short)

bench-proxy: $(READY) ## measure what the proxy adds to a worker, for one job and for 25 at once, and its memory with 500 waiting jobs
	$(BIN)/python -m bench.proxy $(if $(SHORT),--short) $(if $(COMFYUI),--comfyui $(COMFYUI))

chaos: $(READY) ## every fault while jobs run, through four kinds of requests
	$(BIN)/python -m chaos matrix $(if $(SHORT),--short)
	$(BIN)/python -m chaos extremes $(if $(SHORT),--short)

soak: $(READY) ## thousands of jobs of all kinds on four engines, with faults; fails if jobs are lost or memory grows
	$(BIN)/python -m chaos soak $(if $(SHORT),--short)
	$(BIN)/python -m chaos sockets $(if $(SHORT),--short)
	$(BIN)/python -m chaos.runpod $(if $(SHORT),--short)

soak-runpod: $(READY) ## 10,000 jobs through the stand-in for RunPod, with faults of its calls, cancels, SIGTERM and SIGKILL of workers; 500 with SHORT=1
	$(BIN)/python -m chaos.runpod $(if $(SHORT),--short)

fuzz: $(READY) ## send generated requests to every route
	$(BIN)/python -m chaos fuzz $(if $(SHORT),--short)

mutants: $(READY) ## remove each fix in turn, and check that its test fails
	$(BIN)/python -m chaos.mutants $(if $(SHORT),--every 6)

image: ## build IMAGE; PACK_GROUPS="base video", MODELS="sdxl", SOURCES=FOLDER: docs/image.md
	$(CONTAINERS) build --tag $(IMAGE) $(if $(filter buildah,$(CONTAINERS)),--layers --format docker) \
	  $(foreach name,$(BUILD_ARGS),$(if $($(name)),--build-arg $(name)="$($(name))")) \
	  $(if $(SOURCES),--build-context sources=$(SOURCES)) \
	  --build-arg REVISION=$$(git rev-parse HEAD) --build-arg VERSION=$$(git describe --tags --always) .

image-tools: $(READY) ## install Buildah, Podman and a base image; exits with 3 if that is impossible
	$(BIN)/python -m image.toolbox

image-test: image-tools ## build and run the Dockerfile, with the embedded engine instead of ComfyUI
	$(BIN)/pytest -q -m image --require-tools -p no:unraisableexception tests/image  # Docker's and Vast's clients leave sockets open

image-sizes: image-tools ## print the size of each layer and the start time of a container
	$(BIN)/python -m image.sizes

push: ## push IMAGE to its registry and print the digest
	$(CONTAINERS) push $(IMAGE)

FLEET ?= vast.toml

deploy: $(READY) ## apply the fleet file FLEET, with IMAGE if given; the key is in VAST_API_KEY
	$(BIN)/comfy-worker deploy apply --file $(FLEET) $(if $(filter-out file,$(origin IMAGE)),--image $(IMAGE))

SMOKE ?= smoke-resize

smoke: $(READY) ## send a real request to ENDPOINT on Vast, SMOKE=TEMPLATE or FILE; VAST_URL=URL uses a local stand-in
	$(if $(ENDPOINT),,$(error make smoke ENDPOINT=NAME))
	$(BIN)/comfy-worker run $(SMOKE) --vast-endpoint $(ENDPOINT) $(if $(VAST_URL),--vast-url $(VAST_URL)) --out out

COMPILE_SDK := $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock" --quiet
COMPILE := $(COMPILE_SDK:-=pyproject.toml)

lock: $(READY) ## write requirements.lock, locks/worker.lock and those of RunPod's SDKs after a change of pyproject.toml; UPGRADE=1 takes the newest versions
	$(COMPILE) --all-extras $(if $(UPGRADE),--upgrade) --output-file requirements.lock
	$(COMPILE) --extra vast --extra s3 --constraints requirements.lock > locks/worker.lock.new
	mv locks/worker.lock.new locks/worker.lock
	for version in $(SDKS); do echo "runpod==$$version.*" | $(COMPILE_SDK) --output-file locks/runpod-$$version.lock; done

wheel: $(READY) ## build the wheel and the source distribution in dist/
	$(BIN)/uv build --quiet --no-build-isolation --python $(BIN)/python

clean:
	-umount -q .image/store/overlay
	rm -rf $(VENV) build dist .image .state out .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
