# One command each. Needs Python 3.11 or newer and make; everything else goes into .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint check docs bench storm fuzz gpu release lock clean distclean

# The first of these that is 3.11 or newer is used; `make setup PYTHON=/path/to/python` chooses another.
PYTHON ?=
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes that the tests are spread over; the tests of one file stay together. One more than the two cores that CI has:
# the tests of fleets and workers wait for most of their time.
WORKERS ?= 3
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Passed on to pytest, the benchmarks or the storm: make test ARGS='-k resume'
ARGS ?=
# The measurements that `make bench` makes, in this order.
BENCH ?= segmenter store media run overhead reuse transcribe translate recovery queue ledger period scale silence
# Storms that `make storm` raises, each for SECONDS: over single runs, and over a fleet with a queue.
STORM ?= run fleet
# Readers that `make fuzz` damages input for, each for SECONDS; empty for all of tests/fuzz/targets.py.
FUZZ ?=
SEED ?= $(shell date +%s)
SECONDS ?= 60
# setuptools comes from the lock when the lock has it, so that nothing unlocked runs.
ISOLATION := $(if $(shell grep -s '^setuptools==' requirements.lock),--no-build-isolation)

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## .venv with everything that Segue and its local engines need

$(READY): pyproject.toml requirements.lock
	@set -e; found=; \
	for python in $(CANDIDATES); do \
		if "$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "make setup: no Python 3.11 or newer among: $(CANDIDATES). Install one, or run: make setup PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		rm -rf $(VENV); \
		echo "making $(VENV) with $$("$$found" --version)"; \
		if "$$found" -c 'import ensurepip' 2>/dev/null; then \
			"$$found" -m venv $(VENV); \
		else \
			"$$found" -m venv --without-pip $(VENV) && "$$found" -m pip --python $(BIN)/python install --quiet pip || { \
				echo "make setup: $$found has neither ensurepip nor pip. Install its venv package (Debian: python3-venv), or run: make setup PYTHON=/path/to/python3" >&2; \
				exit 1; \
			}; \
		fi; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(ISOLATION) -e .
	@touch $@

# The packaged models need no model hub; SEGUE_TRANSCRIBER_MODEL and SEGUE_TRANSLATOR_MODEL choose others.
demo: setup ## the main job on a real sample with real models: subtitles in Spanish and Japanese
	@SEGUE_HOME="$(CURDIR)/demo/out/.segue" \
	SEGUE_TRANSCRIBER_MODEL="$${SEGUE_TRANSCRIBER_MODEL:-base}" \
	SEGUE_TRANSLATOR_MODEL="$${SEGUE_TRANSLATOR_MODEL:-gemma3-270m}" \
	$(BIN)/segue run demo/sample.mp4 --to es,ja --out demo/out
	@echo "the demo keeps to a store of its own; to look into it:  export SEGUE_HOME='$(CURDIR)/demo/out/.segue'"

test: setup ## the tests, every behaviour once
	$(PYTEST) -m "not long" $(ARGS)

test-all: setup ## the tests that `make test` leaves out: whole fleets, storms of kills, every repetition
	$(PYTEST) -m long $(ARGS)

lint: setup ## ruff, mypy in strict mode, import contracts, docs against --help, the price book
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python docs/commands.py --check
	$(BIN)/python docs/architecture.py --check
	$(BIN)/segue prices check --home .venv/no-home

check: lint test ## lint, then the tests

docs: setup ## writes what the docs take from the program: commands, settings, the picture of the rooms
	$(BIN)/python docs/commands.py --write
	$(BIN)/python docs/architecture.py --write

bench: setup ## measurements, printed as ratios within one run: make bench BENCH=store ARGS='--rounds 3'
	@set -e; for name in $(BENCH); do echo "== bench/$${name}_bench.py"; $(BIN)/python -m bench.$${name}_bench $(ARGS); done

storm: setup ## kills at random moments, and what that cost: make storm STORM=fleet SECONDS=600 SEED=7
	@set -e; for name in $(STORM); do echo "== bench/$${name}_storm.py"; $(BIN)/python -m bench.$${name}_storm --seconds $(SECONDS) --seed $(SEED) $(ARGS); done

fuzz: setup ## damaged input for what reads from outside, bounded: make fuzz FUZZ=captions SECONDS=600 SEED=7
	$(BIN)/python -m bench.fuzz $(if $(FUZZ),--targets "$(FUZZ)") --seconds $(SECONDS) --seed $(SEED) $(ARGS)

gpu: setup ## packs what measures a GPU on a machine without a network, and prints the command to run there
	$(BIN)/python -m bench.gpu_pack $(ARGS)

# Needs a package index; the nodes that install from it do not.
release: setup ## what bare GPU nodes install, with its sums: make release RELEASE=/mnt/share/release/2026-11-21
	deploy/spot/release.sh "$(or $(RELEASE),dist/release)"

# uv resolves; the export carries hashes and no registry's address. UPGRADE=1 takes newer versions.
lock: ## requirements.lock and the images' locks again from pyproject.toml
	@set -e; found=; \
	for python in $(CANDIDATES); do \
		if "$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	[ -n "$$found" ] || { echo "make lock: no Python 3.11 or newer among: $(CANDIDATES)" >&2; exit 1; }; \
	folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$$found" -m venv "$$folder/uv"; "$$folder/uv/bin/pip" install --quiet --disable-pip-version-check uv; \
	"$$folder/uv/bin/uv" export --quiet $(if $(UPGRADE),--upgrade) --all-extras --no-extra cuda --all-groups --no-emit-project --no-header \
		--format requirements-txt --output-file "$$folder/requirements.lock" >/dev/null; \
	"$$folder/uv/bin/uv" export --quiet --frozen --no-default-groups --no-emit-project --no-header \
		--format requirements-txt --output-file "$$folder/requirements-runtime.lock" >/dev/null; \
	"$$folder/uv/bin/uv" pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 \
		--python-platform x86_64-unknown-linux-gnu deploy/images/cuda.in -o "$$folder/requirements-cuda.lock"; \
	if grep -nE '://|^-|^ *--(index|extra-index|find-links|trusted)' "$$folder"/*.lock; then \
		echo "make lock: the lines above name a registry; the locks stay as they are" >&2; exit 1; \
	fi; \
	cp "$$folder/requirements.lock" requirements.lock; \
	cp "$$folder/requirements-runtime.lock" "$$folder/requirements-cuda.lock" deploy/images/; \
	echo "requirements.lock: $$(grep -c '==' requirements.lock) packages"

clean: ## what runs left behind, except .venv
	rm -rf build dist *.egg-info demo/out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## .venv as well
	rm -rf $(VENV)
