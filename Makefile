# Every target does its own set-up from a clean clone: it makes a virtual environment in .venv,
# installs what it needs into it and builds the extensions in place.  A second run reuses all that.
#
#   PYTHON=python3.13   another interpreter (the environment is made anew when it changes)
#   ARGS="-k budget"    further arguments for pytest, the benchmark or the demo
#   KAFKA_VERSION=3.9.1 another Kafka for the integration tests

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)

VENV_STAMP := $(VENV)/.python-$(PYTHON_VERSION)
CI_STAMP := $(VENV)/.installed-ci
DOCS_STAMP := $(VENV)/.installed-docs
INSTALL_STAMP := $(VENV)/.installed
BUILD_STAMP := $(VENV)/.built
COMPILED := $(shell find aiokafka -name '*.pyx' -o -name '*.pxd' -o -name '*.c' -o -name '*.h')
DOCS_OUT := docs/_build

# A compiled module that could not be built must not let the pure Python twins be tested twice.
WITH_EXTENSIONS := AIOKAFKA_REQUIRE_EXTENSIONS=1
WITHOUT_EXTENSIONS := AIOKAFKA_NO_EXTENSIONS=1
PYTEST := $(PY) -m pytest
UNIT := $(PYTEST) tests/unit -n 2 --dist worksteal
# What has no event loop, or brings a process of its own, need not be tested under every loop.
EVERY_LOOP := $(UNIT) -m "not slow" $(addprefix --ignore=tests/unit/,protocol record sasl wire \
	test_codec.py test_docs.py test_errors.py test_examples.py test_layers.py)
# make soak runs random fault schedules from seed SOAK_FIRST on.
SOAK_FIRST ?= 1000
SOAK_COUNT ?= 5000

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help venv build demo test lint types format test-unit test-unit-pure test-unit-debug \
	test-unit-uvloop test-integration bench docs kafka broker soak soak-consumer clean \
	distclean

help: ## Say what there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | \
		awk -F ':.*## ' '{ printf "  make %-18s %s\n", $$1, $$2 }'
	@echo
	@echo "Needed: Python 3.10 or newer and a C compiler; Java 17 or newer and Maven for"
	@echo "make test, test-integration, bench and broker.  Nothing needs Docker."

# -- set-up ---------------------------------------------------------------------------------------

$(VENV_STAMP):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "Python 3.10 or newer is needed; '$(PYTHON)' is $(or $(PYTHON_VERSION),not there)." >&2; \
		echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "== $(VENV): an environment for Python $(PYTHON_VERSION)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(CI_STAMP): requirements-ci.txt | $(VENV_STAMP)
	@echo "== $(VENV): requirements-ci.txt (a minute the first time)"
	@$(PIP) install --quiet --requirement requirements-ci.txt
	@touch $@

$(DOCS_STAMP): requirements-docs.txt $(CI_STAMP)
	@echo "== $(VENV): requirements-docs.txt"
	@$(PIP) install --quiet --requirement requirements-docs.txt
	@touch $@

# Only the metadata and the requirements: the extensions are built by the next rule, which goes on
# from where it left off when one source changed.
$(INSTALL_STAMP): pyproject.toml setup.py $(CI_STAMP)
	@echo "== installing the package for editing"
	@AIOKAFKA_NO_EXTENSIONS=1 $(PIP) install --quiet --no-build-isolation --editable .
	@touch $@

# Without a compiler this warns and leaves pure Python behind, as for users; the tests that are to
# run with the extensions then say which are missing, and the next make tries again.
$(BUILD_STAMP): $(COMPILED) $(INSTALL_STAMP)
	@echo "== building the extensions in place"
	@$(PY) setup.py --quiet build_ext --inplace --parallel 2
	@for source in $(filter %.pyx,$(COMPILED)); do \
		ls $${source%.pyx}.*.so >/dev/null 2>&1 || exit 0; done; touch $@

venv: $(CI_STAMP) ## Make the virtual environment

build: $(BUILD_STAMP) ## Build the extensions in place and install the package for editing

kafka: ## Fetch Kafka for the integration tests (Java, Maven)
	@$(PYTHON) tests/kafka/fetch.py

# -- for people -----------------------------------------------------------------------------------

demo: $(BUILD_STAMP) ## See it at work on an embedded mock cluster (no Java, no broker)
	@$(PY) examples/demo.py $(ARGS)

broker: kafka $(CI_STAMP) ## Run a Kafka broker to try things on, until interrupted
	@$(PY) -m tests.kafka $(ARGS)

docs: $(DOCS_STAMP) $(BUILD_STAMP) ## Build the documentation
	@echo "== documentation"
	@$(PY) -m sphinx -q -W --keep-going -b html docs $(DOCS_OUT)/html
	@echo "$(DOCS_OUT)/html/index.html"

bench: kafka $(BUILD_STAMP) ## Compare the speed with other clients' (Java, Maven)
	@$(PY) -m benchmark $(ARGS)

# -- checks ---------------------------------------------------------------------------------------

test: kafka lint types test-unit test-unit-pure test-unit-debug test-unit-uvloop test-integration ## Run every check there is
	@echo "== every check passed"

lint: $(CI_STAMP) ## ruff: style and likely mistakes
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

format: $(CI_STAMP) ## ruff: put the style right
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

types: $(BUILD_STAMP) ## mypy --strict
	@echo "== types"
	@$(BIN)/mypy

test-unit: $(BUILD_STAMP) ## Unit tests with the extensions (no broker, under a minute)
	@echo "== unit tests, compiled extensions"
	@$(WITH_EXTENSIONS) $(UNIT) $(ARGS)

test-unit-pure: $(BUILD_STAMP) ## Unit tests with the pure Python twins
	@echo "== unit tests, pure Python"
	@$(WITHOUT_EXTENSIONS) $(UNIT) $(ARGS)

test-unit-debug: $(BUILD_STAMP) ## Unit tests with an event loop, in asyncio's debug mode
	@echo "== unit tests, asyncio debug mode"
	@$(WITH_EXTENSIONS) PYTHONASYNCIODEBUG=1 $(EVERY_LOOP) $(ARGS)

# uvloop lets no exception out of a signal handler: a hang is ended from another thread, which
# prints the stacks and ends the test process (pytest-xdist starts another one).
test-unit-uvloop: $(BUILD_STAMP) ## Unit tests with an event loop, under uvloop
	@echo "== unit tests, uvloop"
	@$(WITH_EXTENSIONS) AIOKAFKA_TEST_LOOP=uvloop $(EVERY_LOOP) --timeout-method=thread $(ARGS)

test-integration: kafka $(BUILD_STAMP) ## Integration tests on a real Kafka (Java, Maven)
	@echo "== integration tests"
	@$(WITH_EXTENSIONS) $(PYTEST) tests/integration $(ARGS)

soak: $(BUILD_STAMP) ## Run thousands of random fault schedules (SOAK_FIRST, SOAK_COUNT)
	@$(PY) -m tests.unit.simulation.runner $(SOAK_FIRST) $(SOAK_COUNT); failed=$$?; \
		$(PY) -m tests.unit.simulation_consumer.runner $(SOAK_FIRST) $(SOAK_COUNT) && exit $$failed

soak-consumer: kafka $(BUILD_STAMP) ## Read at full speed for ten minutes: memory must not grow (Java, Maven)
	@$(PY) -m benchmark.soak $(ARGS)

# -- tidying --------------------------------------------------------------------------------------

clean: ## Remove what was built
	@rm -rf build dist *.egg-info $(DOCS_OUT) .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find aiokafka tests benchmark examples -name '*.so' -exec rm -f {} +
	@find aiokafka tests benchmark examples -name '__pycache__' -prune -exec rm -rf {} +
	@rm -f $(BUILD_STAMP)

distclean: clean ## Remove what was fetched, too
	@rm -rf $(VENV) .kafka .bench
