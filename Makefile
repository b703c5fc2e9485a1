# Every verb of this project. The first use of any of them sets the machine up.
# Arguments are passed through: make up ARGS="--port 9000", make test ARGS="tests/unit -k split".

.DEFAULT_GOAL := help
.PHONY: help setup uv up test check bench faults faults-nightly faults-release mutants format docs

ARGS ?=

# uv is looked for on PATH, where its own installer puts it, and where `make uv` fetches it.
UV = $(shell command -v uv || ls "$$HOME/.local/bin/uv" .cache/uv/bin/uv 2>/dev/null | head -n 1)
RUN = $(UV) run --no-sync

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: setup ## Start everything on this machine: servers, model, API, worker, web chat
	@$(RUN) coachline up $(ARGS)

test: setup ## Run all tests; the whole suite also needs 90 % coverage
	@$(RUN) pytest $(if $(ARGS),$(ARGS),--numprocesses=2 --dist=loadfile --cov --cov-report=term)

check: setup ## Format, lint, types, room order, security, architecture, docs, lock
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) lint-imports
	# Low findings are ruff's S rules, which ask for a reason at each exception.
	$(RUN) bandit --quiet --severity-level medium --configfile pyproject.toml --recursive src channels migrations
	$(RUN) pytest --quiet --no-header tests/architecture tests/docs
	$(UV) lock --check

bench: setup ## Measure: acknowledgements, turns, memory, channels, the console
	@PYTHONPATH=tests $(RUN) python -m benchmarks $(ARGS)

faults: setup ## Kill, freeze and cut off everything, a little: some minutes
	@PYTHONPATH=tests $(RUN) python -m faults pull-request $(ARGS)

faults-nightly: setup ## The same in earnest, and write the page about reliability
	@PYTHONPATH=tests $(RUN) python -m faults nightly $(ARGS)

faults-release: setup ## The same with 100,000 messages: hours; ARGS=--resume goes on
	@PYTHONPATH=tests $(RUN) python -m faults release $(ARGS)

mutants: setup ## Break delivery, signatures and tenancy in hundreds of ways; the tests must notice
	@PYTHONPATH=tests $(RUN) python -m faults.mutants $(ARGS)

format: setup ## Rewrite the code in the project's style
	$(RUN) ruff check --fix
	$(RUN) ruff format

docs: setup ## Write what is generated: example.env, OpenAPI, table of capabilities
	@PYTHONPATH=tests $(RUN) python -m docs.generated

setup: uv ## Install exactly what uv.lock says into .venv
	@test -d .venv || echo "Installing what uv.lock names into .venv (once; some hundred MB)"
	@# Compiled now, or the first start would do it: that halves the time until it answers.
	@$(UV) sync --quiet --all-packages --frozen --compile-bytecode

# `pip --target` and a venv both work where pip may not touch the system's packages.
uv:
	@test -n "$(UV)" || { \
	    echo "uv is not installed: fetching it into .cache/uv"; \
	    python3 -m pip install --quiet --disable-pip-version-check --target .cache/uv uv 2>/dev/null \
	    || { python3 -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv; } \
	    || { echo "Cannot fetch uv: install python3-pip or python3-venv, or uv itself." >&2; exit 1; }; }
