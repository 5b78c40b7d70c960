# Two commands matter: `make run` and `make test`. Both work on a fresh clone with Python 3.11, Node 20, npm and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
WORKERS ?= 2
# What tests write is flushed to the disk some ten thousand times: in memory, where there is room, they need not wait.
ROOM := $(shell [ "$$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4000000 ] 2>/dev/null && echo TMPDIR=/dev/shm)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install
SOURCES := src tests vectors $(wildcard bench)
APP := src/cloister/app/files.json

.PHONY: run app shots test deep bench bench-web format lint types imports vectors web py again lock regenerate clean
.DEFAULT_GOAL := test

# --- run ----------------------------------------------------------------------------------------------------------

run: .venv/.run $(APP)  ## a relay with the browser application on an embedded default; prints its address
	@$(BIN)/cloister serve $(ARGS)

app: $(APP)  ## build the browser application into the package

$(APP): web/node_modules/.installed $(shell find web/src web/tools -type f) web/index.html web/vite.config.ts \
		web/svelte.config.js $(wildcard src/cloister/*.json src/cloister/*/*.json)
	cd web && npm run --silent build -- --outDir ../build/app --emptyOutDir
	rm -rf $(dir $(APP)) && mv build/app $(dir $(APP))

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cloister needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv

.venv/.run: .venv/pyvenv.cfg requirements/run.txt requirements/build.txt pyproject.toml
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --require-hashes -r requirements/build.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# --- test ---------------------------------------------------------------------------------------------------------

test: lint types imports web py  ## every check; the last line is pytest's summary

.venv/.dev: .venv/.run requirements/dev.txt
	$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@

.venv/.services: tools/services.sh .venv/.dev $(wildcard tests/browser) $(wildcard tests/interop/whispergrid/package-lock.json)
	@sh tools/services.sh
	@touch $@

lint: .venv/.dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)

types: .venv/.dev
	$(BIN)/mypy

imports: .venv/.dev
	$(BIN)/lint-imports --no-logo

# What fails beside others is run again by itself. What passes then is named: it races, which is a defect of the test
# or of what it tests. What fails again fails the run.
py: .venv/.dev .venv/.services $(APP)
	$(ROOM) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS) || $(MAKE) --no-print-directory again

again: .venv/.dev
	@echo "AGAIN, BY ITSELF, WHAT FAILED ABOVE. WHAT PASSES NOW RACES: MEND IT."
	$(ROOM) $(BIN)/python -m pytest -n 0 -v --maxfail=3 --last-failed --last-failed-no-failures none

deep: .venv/.dev .venv/.services $(APP)  ## hours: fuzzing, kills and simulations at full length
	CLOISTER_DEEP=1 $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

web/node_modules/.installed: web/package-lock.json
	cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

web: web/node_modules/.installed  ## types and the shared vectors in the second language
	cd web && npm run --silent check && $(ROOM) npm run --silent test

# --- bench --------------------------------------------------------------------------------------------------------

.venv/.bench: .venv/.dev requirements/bench.txt
	$(PIP) --require-hashes -r requirements/bench.txt
	@touch $@

# Two cores and nothing else running. Prosody is compared when Debian's package is installed.
bench: .venv/.bench  ## measure beside the peers; writes bench/results/*.json and docs/benchmarks.md
	PYTHONPATH=src:. $(BIN)/python -m bench.bench_srp --save
	PYTHONPATH=src:. $(BIN)/python -m bench.bench_sdk --save
	PYTHONPATH=src:. $(BIN)/python -m bench.rotation --save
	PYTHONPATH=src:. $(BIN)/python -m bench.catchup --save
	PYTHONPATH=src:. $(BIN)/python -m bench.restart
	PYTHONPATH=src:. $(BIN)/python -m bench.oracle
	PYTHONPATH=src:. $(BIN)/python -m bench.relay $(ARGS)
	PYTHONPATH=src:. $(BIN)/python -m bench.tables

bench-web: .venv/.dev .venv/.services $(APP)  ## the browser's budgets, and its core beside Python's
	PYTHONPATH=src:. $(BIN)/python -m bench.web --save $(ARGS)
	PYTHONPATH=src:. $(BIN)/python -m bench.tables

shots: .venv/.dev .venv/.services $(APP)  ## pictures of every screen, in screenshots/ and (three, small) in docs/
	PYTHONPATH=src:. $(BIN)/python -m tests.browser.shots

# --- desk ---------------------------------------------------------------------------------------------------------

format: .venv/.dev
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

regenerate: .venv/.dev  ## write vectors/*.json again; the bytes must not change unless a rule did
	PYTHONPATH=src:. $(BIN)/python -m vectors.generate

lock: .venv/.dev  ## pin requirements/*.in with hashes (needs uv: pip install uv)
	@for name in build run dev bench; do \
		(cd requirements && uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
			--no-emit-find-links --no-header -q $$name.in -o $$name.txt) || exit 1; done

clean:
	rm -rf .venv web/node_modules src/cloister/app .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
