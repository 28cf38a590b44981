# The few commands of the project; `make` alone lists them. Work that is done leaves a stamp under .venv or
# web/node_modules, so a second `make run` starts at once. The steps themselves are in tools/.

PORT ?= 8080
DATA_DIR ?= ./data
# What `make test` hands to pytest: make test TESTS=tests/unit, or TESTS="-k hook -x".
TESTS ?=
# Each worker brings its own database; more than four only fight for the disk.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 1); [ $$n -gt 4 ] && n=4; echo $$n)

VENV := .venv
PYTHON := $(VENV)/bin/python
SETUP := $(VENV)/.installed
# An environment that was moved with its folder, or lost its Python, is made anew (tools/bootstrap.sh decides).
$(shell [ -x $(PYTHON) ] && [ "$$(cat $(VENV)/.home 2>/dev/null)" = "$$(pwd -P)" ] || rm -f $(SETUP))
PYTHON_SOURCES = $(wildcard src tests stubs benchmarks deploy examples tools)

# web/ builds only where there is something to build; Node is the machine's when new enough, else the one in .venv.
HAS_WEB := $(wildcard web/package.json)
WEB_INSTALLED := $(if $(HAS_WEB),web/node_modules/.installed)
WEB_BUILT := $(if $(HAS_WEB),web/node_modules/.built)
WEB_SOURCES := $(if $(HAS_WEB),$(shell find web -type f \
    -not -path 'web/node_modules/*' -not -path 'web/dist/*' -not -path 'web/.vite/*'))
NPM := tools/npm.sh

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup web run test image-check mutants attacks check audit sbom format bench docs site lock upgrade clean

help: ## list these commands
	@echo 'Make Bridge'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(SETUP) $(WEB_INSTALLED) ## install everything the locks name, into .venv and web/node_modules

web: $(WEB_BUILT) ## build the widget, the wizard and the console

run: setup web ## serve the product with demo data on http://127.0.0.1:8080 (PORT=…)
	@echo '· serving on port $(PORT), data in $(DATA_DIR)'
	@exec $(VENV)/bin/make-bridge serve --demo --port $(PORT) --data-dir $(DATA_DIR)

test: setup web ## run the whole suite (TESTS=… for a part of it)
	@tools/test-servers.sh
	@$(if $(HAS_WEB),echo '· web unit tests' && $(NPM) run test --if-present)
	@echo '· pytest with $(WORKERS) workers'
	@$(PYTHON) -m pytest --numprocesses $(WORKERS) --dist loadfile $(TESTS)

# As root, with a network; Debian's minimal root is kept below ~/.cache/make-bridge-tests.
image-check: setup ## build the image without a container engine, and run a server out of it (root, minutes)
	@command -v debootstrap >/dev/null || { echo '✗ debootstrap is missing: apt-get install debootstrap' >&2; exit 1; }
	@tools/test-servers.sh
	@MAKE_BRIDGE_TEST_IMAGE=1 $(PYTHON) -m pytest -n0 tests/deploy/test_image.py

# Each breaks a copy of the code on purpose; its test has to fail. They kill servers in turn, so one after the other.
mutants: setup ## break the code in each way a fault test names, and see that test fail
	@tools/test-servers.sh
	@MAKE_BRIDGE_TEST_MUTANTS=1 $(PYTHON) -m pytest -n0 tests/faults/test_mutants.py

# The tests that hold a row of the list (tests/attacks/rows.py); what they say stands on the page.
attacks: setup web ## attack the product in every way its list names, and write docs/security/attacks.md
	@tools/test-servers.sh
	@PYTHONPATH=tests $(PYTHON) -m pytest -p attacks.report --numprocesses $(WORKERS) --dist loadfile $(TESTS)

check: $(SETUP) ## lint, format, types, import contracts, known faults of dependencies; changes nothing
	@echo '· ruff check'
	@$(VENV)/bin/ruff check $(PYTHON_SOURCES)
	@echo '· ruff format --check'
	@$(VENV)/bin/ruff format --check $(PYTHON_SOURCES)
	@echo '· mypy --strict'
	@$(VENV)/bin/mypy $(PYTHON_SOURCES)
	@echo '· lint-imports'
	@$(VENV)/bin/lint-imports --no-logo
	@$(if $(HAS_WEB),$(MAKE) --no-print-directory $(WEB_INSTALLED) && echo '· web' && $(NPM) run check)
	@echo '· audit'
	@tools/audit.sh check

audit: setup ## ask the advisories about every dependency; fails when they cannot be reached
	@tools/audit.sh check --required

sbom: setup ## write bills of materials (CycloneDX) to dist/sbom
	@tools/audit.sh sbom

format: $(SETUP) ## let ruff fix and format what it can
	@$(VENV)/bin/ruff check --fix $(PYTHON_SOURCES)
	@$(VENV)/bin/ruff format $(PYTHON_SOURCES)

bench: setup ## run the benchmarks
	@$(PYTHON) -m benchmarks

docs: $(SETUP) ## write docs/reference/ from the program's own descriptions, and the page of faults
	@mkdir -p docs/reference
	@$(VENV)/bin/make-bridge reference modules > docs/reference/modules.md
	@$(VENV)/bin/make-bridge reference functions > docs/reference/functions.md
	@$(VENV)/bin/make-bridge reference events > docs/reference/events.md
	@$(VENV)/bin/make-bridge reference openapi > docs/reference/openapi.json
	@$(VENV)/bin/make-bridge reference make-api > docs/compatibility.md
	@$(VENV)/bin/make-bridge reference settings > docs/reference/settings.md
	@$(VENV)/bin/make-bridge reference commands > docs/reference/commands.md
	@PYTHONPATH=tests $(PYTHON) -m faults.page > docs/security/faults.md
	@$(VENV)/bin/make-bridge reference metrics > docs/reference/metrics.md

site: $(SETUP) ## build the site of the documentation from docs/ into build/site
	@NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict
	@echo '· build/site/index.html'

lock: $(SETUP) ## compile requirements/*.txt from pyproject.toml
	@tools/lock.sh

upgrade: $(SETUP) ## compile them with the newest versions
	@tools/lock.sh --upgrade

clean: ## remove what was built and installed; ./data stays
	rm -rf $(VENV) web/node_modules web/dist build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

$(SETUP): pyproject.toml requirements/bootstrap.txt requirements/dev.txt requirements/node.txt tools/bootstrap.sh \
    tools/node.sh
	@tools/bootstrap.sh
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json $(SETUP)
	@echo '· installing the packages of web/package-lock.json'
	@$(NPM) ci --no-audit --no-fund --no-progress
	@touch $@

web/node_modules/.built: $(WEB_SOURCES) web/node_modules/.installed
	@echo '· building web/'
	@$(NPM) run build
	@touch $@
