# All commands of this repository. They need make, git and Python 3.11 or later. Everything else is installed into .venv*
# folders here by the first target that needs it.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Without bytecode on disk each process would compile all its imports.
unexport PYTHONDONTWRITEBYTECODE

# ---- Pythons and environments ----------------------------------------------------------------------------------------

# The first Python of a list that runs, is new enough and can create virtual environments. (pyenv puts commands on the
# PATH for versions that do not run; some systems have Python without venv.)
usable = $(shell for python in $(1); do \
  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
    command -v "$$python"; break; fi; done)
pyenv = $(lastword $(sort $(wildcard $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions/$(1).*/bin/python$(1))))
find_python = $(call usable,python$(1) $(call pyenv,$(1)))

# Lambda's Python, and the oldest on which Redial runs. (Each is searched only when it is used.)
PYTHON_3.13 = $(call find_python,3.13)
PYTHON_3.11 = $(call find_python,3.11)
PYTHON = $(or $(PYTHON_3.13),$(call usable,python3.14 python3.12),$(PYTHON_3.11),$(call usable,python3 python))
NO_PYTHON = No Python from 3.11 on that can make virtual environments: install one, or your system's python3-venv.

# .venv keeps the Python that created it. The tests run on it, and on the other of the two if it is installed.
VERSION = $(shell .venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
OTHER_VERSIONS = $(foreach version,$(filter-out $(VERSION),3.11 3.13),$(if $(PYTHON_$(version)),$(version)))

# $(call install,<environment>,<requirements>): uv takes seconds, pip minutes; pip is used if uv cannot be installed. Only
# packages whose hashes are in the list are installed.
install = .venv/bin/uv pip install --quiet --require-hashes --python $(1)/bin/python -r $(2) || \
  $(1)/bin/python -m pip install --quiet --require-hashes --disable-pip-version-check -r $(2)

LISTS := layers/redial/requirements $(patsubst %.in,%,$(wildcard requirements/*.in))

.venv/ready: requirements/dev.txt layers/redial/requirements.txt
	@echo "Installing into .venv, once: seconds with uv, else two minutes …"
	@test -x .venv/bin/python || { python="$(PYTHON)"; \
	  test -n "$$python" || { echo "$(NO_PYTHON)" >&2; exit 1; }; "$$python" -m venv .venv; }
	@test -x .venv/bin/uv || \
	  .venv/bin/python -m pip install --quiet --require-hashes --disable-pip-version-check -r requirements/uv.txt || true
	@$(call install,.venv,requirements/dev.txt)
	@touch $@

.venv-3.%/ready: requirements/dev.txt layers/redial/requirements.txt | .venv/ready
	@echo "Installing into .venv-3.$* …"
	@test -x $(@D)/bin/python || $(PYTHON_3.$*) -m venv $(@D)
	@$(call install,$(@D),requirements/dev.txt)
	@touch $@

# Tools, each in its own environment, so that the versions needed by one do not restrict another.
TOOL_sam := AWS SAM
TOOL_pictures := matplotlib
TOOL_docs := the documentation builder
TOOL_checks := checkov and pip-audit
TOOL_sbom := CycloneDX
TOOL_node := Node.js
TOOLS := sam pictures docs checks sbom node

$(TOOLS:%=.venv-%/ready): .venv-%/ready: requirements/%.txt | .venv/ready
	@echo "Installing $(TOOL_$*) into $(@D), once …"
	@test -x $(@D)/bin/python || .venv/bin/python -m venv $(@D)
	@$(call install,$(@D),$<)
	@touch $@

.venv-ministack/ready: requirements/ministack.txt | .venv/ready
	@echo "Installing MiniStack, an emulated AWS, into .venv-ministack, once …"
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@$(call install,$(@D),requirements/ministack.txt)
	@touch $@

# The layer's build needs a Python with pip; sam needs a region even if nothing is sent to AWS.
SAM := PYTHON="$(CURDIR)/.venv/bin/python" SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam
# Python with the folders that Lambda puts on the path (pytest and mypy have their own settings for that).
WITH_PATH := PYTHONPATH="$(CURDIR):$(CURDIR)/layers/redial"

RELEASE = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' layers/redial/redial/__init__.py)

# One worker for each core and one more, since some tests wait for a browser or a time limit. An idle worker takes tests
# from another.
IN_PARALLEL = --numprocesses $(shell .venv/bin/python -c 'import os; print(os.cpu_count() + 1)') --dist worksteal
# Tests that may depend on the version of Python: every module, and at night also generated examples, the client, and the
# two files that use all modules together. Templates, documentation and models do not depend on it; test_same_trace.py
# shows that the simulation does not either.
ON_EVERY_PYTHON := tests/unit tests/contract -m "not (simulation or nightly or hypothesis)"
ON_EVERY_PYTHON_NIGHTLY := tests/unit tests/contract tests/clients tests/integration/test_stories.py \
  tests/integration/test_batches.py --hypothesis-profile=nightly

# ---- One machine -----------------------------------------------------------------------------------------------------

.PHONY: run
run: .venv/ready ## Run the whole system on this machine. SPEED=60: one second is one minute
	@$(WITH_PATH) .venv/bin/python -m local

.PHONY: demo
demo: .venv/ready ## Play one call through no-answer, busy and answered, in a few seconds
	@$(WITH_PATH) .venv/bin/python -m local demo

# ---- Checks ----------------------------------------------------------------------------------------------------------

# Tests use some of these too, so all are installed before the first test.
ENVIRONMENTS = .venv-sam/ready .venv-sbom/ready .venv-checks/ready $(OTHER_VERSIONS:%=.venv-%/ready)

# All parts of a line run at once, so that no core is idle.
.PHONY: test
test: .venv/ready ## Run everything that must pass: checks, and tests on Python 3.11 and 3.13, if installed
	@$(MAKE) --jobs bytecode $(ENVIRONMENTS)
	@$(MAKE) --jobs pytest check $(OTHER_VERSIONS:%=pytest-on-%)

# Compile once what each worker would compile otherwise. (The tests report errors.)
.PHONY: bytecode
bytecode: .venv/ready
	@.venv/bin/python -m pytest --collect-only --quiet >/dev/null 2>&1 || true

# Uses the processor time that the tests on the first Python leave.
pytest-on-%: .venv-%/ready
	@echo "pytest on Python $*" && nice -n 19 .venv-$*/bin/python -m pytest $(IN_PARALLEL) $(ON_EVERY_PYTHON) $(ARGS)

.PHONY: quick
quick: .venv/ready ## Run the quick checks: format, lint, types, unit and contract tests
	@echo "ruff" && .venv/bin/ruff format --quiet . && .venv/bin/ruff check --quiet .
	@echo "mypy" && .venv/bin/mypy
	@echo "unit and contract tests" && .venv/bin/python -m pytest $(IN_PARALLEL) -q -m "not (simulation or nightly)" tests/contract tests/unit

.PHONY: check
check: .venv/ready .venv-sam/ready .venv-sbom/ready .venv-checks/ready ## Check format, lint, types, import directions and templates
	@echo "ruff" && .venv/bin/ruff format --check --quiet . && .venv/bin/ruff check --quiet .
	@echo "mypy, import-linter, cfn-lint, checkov" && { .venv/bin/mypy & mypy=$$!; \
	  $(WITH_PATH) .venv/bin/lint-imports --no-logo && \
	  .venv-sam/bin/cfn-lint --config-file .cfnlintrc.yaml && \
	  mkdir -p .run && $(WITH_PATH) .venv/bin/python -m local.cloudformation template.yaml > .run/template.json && \
	  .venv-checks/bin/checkov --config-file .checkov.yaml; others=$$?; wait $$mypy && exit $$others; }
	@echo "(not checked here: known vulnerabilities of installed packages; they need a network: make audit)"

# pip-audit accepts a package that PyPI does not have; --strict makes this a failure.
.PHONY: audit
audit: .venv-checks/ready ## Check installed packages for known vulnerabilities on PyPI. Fails without network
	@for list in $(LISTS); do \
	  echo "pip-audit $$list.txt" && \
	  .venv-checks/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r $$list.txt || exit 1; \
	done

.PHONY: pytest
pytest: .venv/ready ## Run only the tests, on one Python. ARGS='-k stop'
	@echo "pytest on Python $(VERSION)" && .venv/bin/python -m pytest $(IN_PARALLEL) -m "not nightly" $(ARGS)

.PHONY: simulate
simulate: .venv/ready ## Simulate faults by seed, and check every promise. SEEDS=1000 FIRST=1 LONG=1, or SEED=48213
	@$(WITH_PATH) .venv/bin/python -m tests.simulation $(if $(LONG),--long) \
	  $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100) --first $(or $(FIRST),1))

.PHONY: recoveries
recoveries: .venv/ready ## Measure the delay caused by one fault of each kind, at every point where it can occur
	@$(WITH_PATH) .venv/bin/python -m tests.simulation --recoveries

# Seeds are derived from the date, so each night has its own.
.PHONY: nightly
nightly: .venv/ready clients-check ## Run the tests that are too long for `make test`: seeds, ablations, interleavings, examples, TypeScript. FIRST=1
	@.venv/bin/python -m pytest $(IN_PARALLEL) --hypothesis-profile=nightly -m "simulation or nightly or hypothesis" $(ARGS)
	@for version in $(OTHER_VERSIONS); do \
	  $(MAKE) .venv-$$version/ready && \
	  .venv-$$version/bin/python -m pytest $(IN_PARALLEL) $(ON_EVERY_PYTHON_NIGHTLY) $(ARGS) || exit 1; \
	done
	@first=$(or $(FIRST),$$(date +%Y%m%d)000) && \
	  $(MAKE) simulate SEEDS=$(or $(SEEDS),1000) FIRST=$$first && \
	  $(MAKE) simulate SEEDS=$(or $(SEEDS),1000) FIRST=$$first LONG=1
	@$(WITH_PATH) .venv/bin/python -m tests.simulation.interleavings

# `make test` does the same with a Python client, and sends the requests: tests/integration/test_generated_client.py.
CLIENT := .run/typescript
.PHONY: clients-check
clients-check: .venv/ready .venv-node/ready ## Generate TypeScript types from the OpenAPI document, and compile a program that makes every request
	@mkdir -p $(CLIENT) && cp tests/typescript/* tests/contract/recorded/api/openapi.json $(CLIENT)/
	@cd $(CLIENT) && export PATH="$(CURDIR)/.venv-node/bin:$$PATH" && npm ci --silent && \
	  npx openapi-typescript openapi.json --output schema.d.ts --silent && npx tsc && \
	  echo "a TypeScript program that makes every request compiles"

.PHONY: mutants
mutants: .venv/ready ## Change one critical line at a time; its test must detect it. ARGS='--only "delayed set"'
	@$(WITH_PATH) .venv/bin/python -m tests.mutants $(ARGS)

.PHONY: protocol
protocol: .venv/ready ## Search the models of the protocol, and write their results into docs/protocol.md
	@$(WITH_PATH) .venv/bin/python -m tests.protocol

.PHONY: bench
bench: .venv/ready $(if $(findstring --docs,$(ARGS)),.venv-pictures/ready) ## Measure the cost of an attempt, here and elsewhere; speed and size of the functions; targets. ARGS=--docs
	@$(WITH_PATH) .venv/bin/python -m bench $(ARGS); status=$$?; \
	  $(if $(findstring --docs,$(ARGS)),$(WITH_PATH) .venv-pictures/bin/python -m bench.draw limits;) exit $$status

.PHONY: bench-ingest
bench-ingest: .venv/ready ## Measure how a batch's file is read: time, memory, ratio to a baseline. ROWS=1000000 ARGS='--wait 5'
	@$(WITH_PATH) .venv/bin/python -m bench.ingest --rows $(or $(ROWS),1000000) $(ARGS)

.PHONY: bench-batch
bench-batch: .venv/ready ## Run a large batch, check it, and count its requests and the write units of each key. ROWS=10000 ARGS='--lines 60'
	@$(WITH_PATH) .venv/bin/python -m bench.batch --rows $(or $(ROWS),10000) $(ARGS)

.PHONY: load
load: .venv/ready ## Request calls from the local stack at a steady rate, and check the results. RATE=50 SECONDS=60 ARGS=--docs
	@$(WITH_PATH) .venv/bin/python -m bench.load --rate $(or $(RATE),50) --seconds $(or $(SECONDS),60) $(ARGS)

.PHONY: dashboards
dashboards: .venv/ready .venv-pictures/ready ## Run a batch and draw both dashboards from its metrics, into docs/dashboards. ROWS=10000
	@$(WITH_PATH) .venv/bin/python -m bench.dashboards --rows $(or $(ROWS),10000)
	@$(WITH_PATH) .venv-pictures/bin/python -m bench.draw dashboards

.PHONY: docs
docs: .venv-docs/ready ## Build the documentation as a site with search, into .run/site
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet && echo "open .run/site/index.html"

.PHONY: client
client: .venv/ready ## Build the command `redial`, as a wheel and as one file, into .run/client (docs/command-line.md)
	@.venv/bin/python clients/python/build.py .run/client

.PHONY: client-models
client-models: .venv/ready ## Generate the client's models from the recorded OpenAPI document
	@.venv/bin/python clients/python/generate.py

.PHONY: format
format: .venv/ready ## Format, and fix what lint can fix
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# ---- AWS -------------------------------------------------------------------------------------------------------------

.PHONY: build
build: .venv-sam/ready ## Build the deployment packages, into .aws-sam
	@$(SAM) build

.PHONY: deploy
deploy: build ## Deploy to AWS. ENV=prod for production (samconfig.toml)
	@$(SAM) deploy --config-env $(or $(ENV),default)

.PHONY: dist
dist: .venv/ready .venv-sam/ready .venv-sbom/ready ## Build a release into dist: templates, zips, command, bills of materials, checksums (docs/install.md)
	@$(WITH_PATH) .venv/bin/python -m infrastructure.dist

.PHONY: deploy-check
deploy-check: .venv/ready .venv-sam/ready .venv-sbom/ready .venv-ministack/ready ## Build a release, then deploy it, call, update and delete on an emulated AWS, in real time
	@.venv/bin/python -m pytest tests/e2e -m e2e --capture=no $(ARGS)

.PHONY: deploy-check-aws
deploy-check-aws: .venv/ready .venv-sam/ready .venv-sbom/ready ## Run deploy-check in your AWS account: it rings a telephone and costs money (docs/deploy-check.md). STACK=…
	@REDIAL_E2E_TARGET=aws $(if $(STACK),REDIAL_E2E_STACK="$(STACK)") \
	  .venv/bin/python -m pytest tests/e2e/test_story.py -m e2e --capture=no $(ARGS)

.PHONY: sam-local
sam-local: .venv/ready .venv-sam/ready .venv-ministack/ready ## Start the environment for `sam local invoke`, and print its commands (docs/sam-local.md)
	@$(WITH_PATH) .venv/bin/python -m tests.support.sam_local

.PHONY: sam-local-check
sam-local-check: .venv/ready .venv-sam/ready .venv-ministack/ready ## Run every sample event and the API in Lambda's container; needs Docker
	@.venv/bin/python -m pytest tests/e2e -m sam_local $(ARGS)

# A running `make run` serves its table; these credentials are not checked.
AT_LOCAL_STACK := AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_REGION=us-east-1 TABLE_NAME=redial-local-Table \
  AWS_ENDPOINT_URL_DYNAMODB=http://127.0.0.1:$(or $(REDIAL_PORT),3000)/_local/dynamodb

.PHONY: keys
keys: .venv/ready ## Manage accounts and API keys. ARGS='create-account --name acme --table …'; ARGS=--help; LOCAL=1 for `make run`
	@$(if $(LOCAL),$(AT_LOCAL_STACK)) $(WITH_PATH) .venv/bin/python -m redial.runtime.keys $(ARGS)

# ---- This repository -------------------------------------------------------------------------------------------------

.PHONY: lock
lock: .venv/ready ## Pin all installed packages, with hashes: each requirements.txt from its .in. ARGS=--upgrade
	@for list in $(LISTS); do \
	  .venv/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command "make lock" \
	    $(ARGS) $$list.in -o $$list.txt || exit 1; \
	done

.PHONY: release
release: ## Check everything, make dist, and tag this commit with its version (CONTRIBUTING.md)
	@test -z "$$(git status --porcelain)" || { echo "commit or remove what is changed first"; exit 1; }
	@grep -q "^## $(RELEASE) - " CHANGELOG.md || { echo "CHANGELOG.md: turn Unreleased into '## $(RELEASE) - <date>' first"; exit 1; }
	@test -z "$$(git tag --list v$(RELEASE))" || { echo "v$(RELEASE) is tagged already: raise __version__ first"; exit 1; }
	@$(MAKE) test && $(MAKE) dist
	@git tag --annotate "v$(RELEASE)" --message "Redial $(RELEASE)" && echo "tagged v$(RELEASE); push it with: git push origin v$(RELEASE)"

.PHONY: clean
clean: ## Remove environments, builds and caches
	@rm -rf .venv .venv-* .aws-sam .run dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
